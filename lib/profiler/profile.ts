/** What a profile has recorded. */
import { readFileSync, writeFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import type { RawProfile, RawProfileRow, RawProfilerOptions } from '../addon/profiles.ts';
import { describe } from '../arrays.ts';
import { positive } from '../check.ts';
import { outOfRange, translated, wrongType } from '../errors.ts';
import { checkInside, guard, INSIDE, type Inside } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import { noOptions, OptionNames } from '../options.ts';
import { replaceFileSync } from '../whole-file.ts';
import { type ProfileEvent, toEvents } from './events.ts';
import { merged, type ProfileRow, sorted } from './rows.ts';
import { profileTable } from './table.ts';

/** Of `KeyAverages.table`. */
export interface TableOptions {
  /** PyTorch's key names: `cpu_time_total`, `self_cpu_memory_usage`, `cuda_time_total`, `flops`, … */
  sortBy?: string;
  /** Most rows to print; 100 by default, −1 prints all. */
  rowLimit?: number;
}

const TABLE_OPTIONS = new OptionNames<TableOptions>({ sortBy: true, rowLimit: true });

/** Of `Profile.keyAverages`. */
export interface KeyAveragesOptions {
  /** Separate rows for each shape of the inputs; by default where shapes were recorded. */
  groupByInputShape?: boolean;
}

const KEY_AVERAGES_OPTIONS = new OptionNames<KeyAveragesOptions>({ groupByInputShape: true });

/** Rows of a profile, most expensive (by self time) first, with PyTorch's table. */
export class KeyAverages extends Array<ProfileRow> {
  readonly #table: (options: TableOptions) => string;

  static {
    guard(KeyAverages, (value) => typeof value === 'object' && value !== null && #table in value);
  }

  /** Used by `Profile.keyAverages`. */
  constructor(key: Inside, rows: readonly ProfileRow[], table: (options: TableOptions) => string) {
    checkInside(key, 'KeyAverages come from Profile.keyAverages');
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
  /**
   * Time on the CPU, in microseconds, without counting anything twice: threads that help a product while its own
   * thread works or waits are not added to it.
   */
  readonly selfCpuTimeTotal: number;
  /** Time of kernels on the device, in microseconds. */
  readonly selfDeviceTimeTotal: number;
  /** Bytes that libtorch had allocated at the highest point, above what it had at the start. */
  readonly peakMemory: number;

  readonly #raw: RawProfile;
  readonly #options: RawProfilerOptions;
  #events: readonly ProfileEvent[] | undefined;

  static {
    guard(Profile, (value) => typeof value === 'object' && value !== null && #raw in value);
  }

  /** Used by `profile`. */
  constructor(key: Inside, raw: RawProfile, options: RawProfilerOptions) {
    checkInside(key, 'a Profile comes from profile or startProfile');
    this.selfCpuTimeTotal = raw.selfCpuTimeTotal;
    this.selfDeviceTimeTotal = raw.selfDeviceTimeTotal;
    this.peakMemory = raw.peakMemory;
    this.#raw = raw;
    this.#options = options;
  }

  /** All calls summed up by operator, and by input shapes where these were recorded. */
  keyAverages(options?: KeyAveragesOptions): KeyAverages {
    const { groupByInputShape = true } = KEY_AVERAGES_OPTIONS.read(options);
    if (typeof groupByInputShape !== 'boolean') {
      throw wrongType(`groupByInputShape should be true or false, got ${describe(groupByInputShape)}`);
    }
    const onDevice = this.selfDeviceTimeTotal > 0;
    const all = groupByInputShape ? this.#raw.rows : merged(this.#raw.rows);
    const rows = sorted(all, onDevice ? 'self_device_time_total' : 'self_cpu_time_total');
    const visible = rows.map(({ onDevice: _, annotation: __, ...row }): ProfileRow => row);
    return new KeyAverages(INSIDE, visible, (table) => this.#table(rows, table));
  }

  /** Every single call, by start. */
  events(): readonly ProfileEvent[] {
    this.#events ??= toEvents(translated(() => this.#raw.events()));
    return this.#events;
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'Profile';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { selfCpuTimeTotal, selfDeviceTimeTotal, peakMemory } = this;
    const fields = { selfCpuTimeTotal, selfDeviceTimeTotal, peakMemory, rows: this.#raw.rows.length };
    return inspected('Profile', fields, how);
  }

  #table(rows: readonly RawProfileRow[], { sortBy, rowLimit = 100 }: TableOptions): string {
    const limit = rowLimit === -1 ? rows.length : positive(rowLimit, 'rowLimit');
    return profileTable(sortBy === undefined ? rows : sorted(rows, sortBy), limit, {
      profileMemory: this.#options.profileMemory,
      withFlops: this.#options.withFlops,
      device: this.#options.cuda,
      selfCpuTimeTotal: this.selfCpuTimeTotal,
      selfDeviceTimeTotal: this.selfDeviceTimeTotal,
    });
  }

  /**
   * Writes a Chrome trace, which `chrome://tracing` and Perfetto open; compressed where the name ends in `.gz`. It is there as a
   * whole or not at all.
   *
   * @throws RangeError (`ERR_INVALID_ARGUMENT`) where it cannot be written
   */
  exportChromeTrace(path: string): void;
  exportChromeTrace(path: string, ...rest: readonly unknown[]): void {
    noOptions(rest, 'exportChromeTrace');
    if (typeof path !== 'string') throw wrongType(`path should be a string, got ${describe(path)}`);
    if (path.includes('\0')) throw outOfRange('path should be without null characters');
    try {
      replaceFileSync(path, (draft) => {
        translated(() => this.#raw.save(draft));
        if (path.endsWith('.gz')) writeFileSync(draft, gzipSync(readFileSync(draft)));
      });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error;
      const { message } = error as Error;
      throw outOfRange(`the trace could not be written to '${path}': ${message}`, { cause: error });
    }
  }
}
