/** Work that Ctrl-C ends in good order. */
import type { ChildProcess } from 'node:child_process';
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

/**
 * Where a signal ends this process, the child ends with it, which computes and hears nothing.
 *
 * @returns what is to be called once the child has ended
 */
export function endTogether(child: ChildProcess): () => void {
  const end = (by: NodeJS.Signals) => {
    forget();
    child.kill('SIGKILL');
    process.kill(process.pid, by);
  };
  const forget = () => {
    for (const each of INTERRUPTS) process.off(each, end);
  };
  for (const each of INTERRUPTS) process.on(each, end);
  return forget;
}
