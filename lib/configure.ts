/** Settings of the process. */
import { addon } from './addon/addon.ts';
import { describe } from './arrays.ts';
import { MAX_THREADS, positive } from './check.ts';
import { outOfRange, wrongType } from './errors.ts';
import { OptionNames } from './options.ts';

/** What the process may use, for all its threads and workers together. */
export interface Settings {
  /** Asynchronous operations that compute at once, as far as the cores go; `Infinity` by default. */
  readonly concurrency: number;
  /** Operations that may wait for others to end; one more rejects with `ERR_BUSY`. `Infinity` by default. */
  readonly maxQueue: number;
  /**
   * Bytes that tensors on the CPU may hold together, as `info().bytesHeld` counts them; what would go beyond rejects with
   * `ERR_OUT_OF_MEMORY`, before it allocates where an estimate can be made. `Infinity` by default: what the machine and
   * the control groups of the process allow.
   */
  readonly memoryLimit: number;
  /** Intra-op threads of operations that ask for none; at most as many as the process has cores, which is the default. */
  readonly threads: number;
}

/** Of `configure`: the settings to change. */
export type ConfigureOptions = Partial<Settings>;

const CONFIGURE_OPTIONS = new OptionNames<ConfigureOptions>({
  concurrency: true,
  maxQueue: true,
  memoryLimit: true,
  threads: true,
});

/**
 * Changes settings of the process, for operations that begin from now on, and returns those in force. What is not given
 * stays as it is: `configure()` only tells. Loads the addon.
 *
 * @throws TypeError, RangeError for settings of the wrong kind or out of range
 */
export function configure(options?: ConfigureOptions): Settings {
  const given = CONFIGURE_OPTIONS.read(options);
  const { concurrency, maxQueue, memoryLimit, threads } = given;
  if (concurrency !== undefined) limit(concurrency, 'concurrency', 1);
  if (maxQueue !== undefined) limit(maxQueue, 'maxQueue', 0);
  if (memoryLimit !== undefined) limit(memoryLimit, 'memoryLimit', 1);
  if (threads !== undefined) positive(threads, 'threads', MAX_THREADS);
  return Object.freeze(addon().configure(given));
}

/** A whole number of at least `least`, or Infinity. */
function limit(value: unknown, name: string, least: number): void {
  if (typeof value !== 'number') throw wrongType(`${name} should be a number, got ${describe(value)}`);
  if (value === Infinity || (Number.isSafeInteger(value) && value >= least)) return;
  throw outOfRange(`${name} should be a whole number of at least ${least}, or Infinity, got ${value}`);
}
