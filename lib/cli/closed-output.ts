/** Output that can no longer be written: its reader has gone, as `head` does, or the disk is full. */
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { errorCode } from './failure.ts';

/** What a shell says of a process that writing to a closed pipe ended. */
export const CLOSED_PIPE = 128 + constants.signals.SIGPIPE;

export const isClosedPipe = (error: unknown) => errorCode(error) === 'EPIPE';

/**
 * Ends the process where what it prints cannot be written: without a word where nobody reads it, as other programs do, which
 * the signal SIGPIPE ends.
 *
 * @param say says what else it is
 */
export function endWithOutput(say: (error: unknown) => void, failure: number): void {
  const streams: readonly [Writable, string][] = [
    [process.stdout, 'standard output'],
    [process.stderr, 'standard error'],
  ];
  for (const [stream, name] of streams) {
    stream.on('error', (error) => {
      if (isClosedPipe(error)) process.exit(CLOSED_PIPE);
      if (stream === process.stdout) say(new Error(`${name} cannot be written: ${error.message}`));
      process.exit(failure);
    });
  }
}
