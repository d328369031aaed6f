/** libtorch's own profiler. */
import { types } from 'node:util';
import { describe } from './arrays.ts';
import { checkOneOf, positive } from './check.ts';
import { outOfRange, translated, wrongType } from './errors.ts';
import { addon, type RawProfile, type RawProfilerOptions } from './native.ts';
import { noOptions, OptionNames } from './options.ts';
import { type ProfileRow, sorted } from './profiler/rows.ts';
import { profileTable } from './profiler/table.ts';

export type { ProfileRow };

/** What to record. */
export interface ProfileOptions {
  /** What to record: `'cpu'` (the default), `'cuda'`, or both. */
  activities?: readonly ('cpu' | 'cuda')[];
  /** Also records the shapes of inputs, which makes separate rows for each. */
  recordShapes?: boolean;
  /** Adds memory columns to the table; the peak is known either way. */
  profileMemory?: boolean;
  /** Counts the floating-point operations of matrix products and convolutions. */
  withFlops?: boolean;
}

const PROFILE_OPTIONS = new OptionNames<ProfileOptions>({
  activities: true,
  recordShapes: true,
  profileMemory: true,
  withFlops: true,
});

/** Of `KeyAverages.table`. */
export interface TableOptions {
  /** PyTorch's key names: `cpu_time_total`, `self_cpu_memory_usage`, `cuda_time_total`, `flops`, … */
  sortBy?: string;
  /** Most rows to print; 100 by default, −1 prints all. */
  rowLimit?: number;
}

const TABLE_OPTIONS = new OptionNames<TableOptions>({ sortBy: true, rowLimit: true });

/** Rows of a profile, most expensive (by self time) first, with PyTorch's table. */
export class KeyAverages extends Array<ProfileRow> {
  readonly #table: (options: TableOptions) => string;

  /** Used by `Profile.keyAverages`. */
  constructor(rows: readonly ProfileRow[], table: (options: TableOptions) => string) {
    super();
    this.push(...rows);
    this.#table = table;
  }

  /** What `map`, `filter` and the like return is a plain array. */
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }

  /** The table of PyTorch's `key_averages().table(sort_by, row_limit)`, as text. */
  table(options?: TableOptions): string {
    return this.#table(TABLE_OPTIONS.read(options));
  }
}

/** What was recorded. */
export class Profile {
  /** Time on the CPU, in microseconds, without counting anything twice. */
  readonly selfCpuTimeTotal: number;
  /** Time of kernels on the device, in microseconds. */
  readonly selfDeviceTimeTotal: number;
  /** Bytes that libtorch had allocated at the highest point, above what it had at the start. */
  readonly peakMemory: number;

  readonly #raw: RawProfile;
  readonly #options: RawProfilerOptions;

  /** Used by `profile`. */
  constructor(raw: RawProfile, options: RawProfilerOptions) {
    this.selfCpuTimeTotal = raw.selfCpuTimeTotal;
    this.selfDeviceTimeTotal = raw.selfDeviceTimeTotal;
    this.peakMemory = raw.peakMemory;
    this.#raw = raw;
    this.#options = options;
  }

  /** All calls summed up by operator, and by input shapes where these were recorded. */
  keyAverages(): KeyAverages;
  keyAverages(...rest: readonly unknown[]): KeyAverages {
    noOptions(rest, 'keyAverages');
    const onDevice = this.selfDeviceTimeTotal > 0;
    const rows = sorted(this.#raw.rows, onDevice ? 'self_device_time_total' : 'self_cpu_time_total');
    const visible = rows.map(({ onDevice: _, ...row }): ProfileRow => row);
    return new KeyAverages(visible, (options) => this.#table(rows, options));
  }

  #table(rows: RawProfile['rows'], { sortBy, rowLimit = 100 }: TableOptions): string {
    const limit = rowLimit === -1 ? rows.length : positive(rowLimit, 'rowLimit');
    return profileTable(sortBy === undefined ? rows : sorted(rows, sortBy), limit, {
      profileMemory: this.#options.profileMemory,
      withFlops: this.#options.withFlops,
      device: this.#options.cuda,
      selfCpuTimeTotal: this.selfCpuTimeTotal,
      selfDeviceTimeTotal: this.selfDeviceTimeTotal,
    });
  }

  /** Writes a Chrome trace, which `chrome://tracing` and Perfetto open. */
  exportChromeTrace(path: string): void;
  exportChromeTrace(path: string, ...rest: readonly unknown[]): void {
    noOptions(rest, 'exportChromeTrace');
    if (typeof path !== 'string') throw wrongType(`path should be a string, got ${describe(path)}`);
    translated(() => this.#raw.save(path));
  }
}

/**
 * Runs `body` and records what libtorch does meanwhile for this thread, on whatever thread products run. One profile
 * can be recorded at a time in a process.
 *
 * @throws TorchCurvatureError `ERR_PROFILER_BUSY`; `ERR_DEVICE_UNAVAILABLE` for `'cuda'` without a device
 */
export async function profile<T>(
  body: () => T | PromiseLike<T>,
  options?: ProfileOptions,
): Promise<{ result: Awaited<T>; profile: Profile }> {
  if (typeof body !== 'function') throw wrongType(`profile expects a function, got ${describe(body)}`);
  const chosen = checkOptions(PROFILE_OPTIONS.read(options));
  translated(() => addon().profilerStart(chosen));
  let raw: RawProfile;
  let result: Awaited<T>;
  try {
    result = await body();
  } finally {
    raw = translated(() => addon().profilerStop());
  }
  return { result, profile: new Profile(raw, chosen) };
}

/**
 * Runs `body` as a named region of the profile being recorded, if any. A region whose body is asynchronous ends when
 * its promise is settled.
 */
export function recordFunction<T>(name: string, body: () => T): T;
export function recordFunction<T>(name: string, body: () => T, ...rest: readonly unknown[]): T {
  noOptions(rest, 'recordFunction');
  if (typeof name !== 'string') throw wrongType(`name should be a string, got ${describe(name)}`);
  if (typeof body !== 'function') throw wrongType(`recordFunction expects a function, got ${describe(body)}`);
  const region = addon().regionEnter(name);
  const exit = (async: boolean) => addon().regionExit(region, async);
  let result: T;
  try {
    result = body();
  } catch (error) {
    exit(false);
    throw error;
  }
  if (!types.isPromise(result)) {
    exit(false);
    return result;
  }
  return result.finally(() => exit(true)) as T;
}

function checkOptions({
  activities = ['cpu'],
  recordShapes,
  profileMemory,
  withFlops,
}: ProfileOptions): RawProfilerOptions {
  if (!Array.isArray(activities)) throw wrongType(`activities should be a list, got ${describe(activities)}`);
  const chosen = activities.map((activity) => checkOneOf(activity, ['cpu', 'cuda'] as const, 'an activity'));
  if (chosen.length === 0) throw outOfRange('activities should name at least one of cpu and cuda');
  return {
    cpu: chosen.includes('cpu'),
    cuda: chosen.includes('cuda'),
    recordShapes: Boolean(recordShapes),
    profileMemory: Boolean(profileMemory),
    withFlops: Boolean(withFlops),
  };
}
