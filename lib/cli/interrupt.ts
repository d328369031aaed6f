/** Work that Ctrl-C ends in good order. */
import { constants } from 'node:os';

export type Interrupt = 'SIGINT' | 'SIGTERM';
const INTERRUPTS: readonly Interrupt[] = ['SIGINT', 'SIGTERM'];

/** What a shell says of a process that a signal ended. */
export const exitCodeOf = (interrupt: Interrupt) => 128 + constants.signals[interrupt];

/**
 * Runs something that ends early, with what it has, once its signal is aborted: by Ctrl-C (or `kill`). A second one ends the
 * process as it does elsewhere.
 *
 * @returns what it came to, and what interrupted it, if anything
 */
export async function interruptible<T>(
  run: (signal: AbortSignal) => Promise<T>,
): Promise<{ result: T; interrupt: Interrupt | undefined }> {
  const controller = new AbortController();
  let interrupt: Interrupt | undefined;
  const stop = (by: NodeJS.Signals) => {
    interrupt = by as Interrupt;
    restore();
    controller.abort();
  };
  const restore = () => {
    for (const each of INTERRUPTS) process.off(each, stop);
  };
  for (const each of INTERRUPTS) process.on(each, stop);
  try {
    const result = await run(controller.signal);
    return { result, interrupt };
  } finally {
    restore();
  }
}
