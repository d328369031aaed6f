/** A profile in the making: one recording, or the steps of a schedule. */

import { inspect } from 'node:util';
import { addon } from '../addon/addon.ts';
import type { RawProfilerOptions } from '../addon/profiles.ts';
import type { RegionHandle } from '../addon/requests.ts';
import { watchOperations } from '../addon/run.ts';
import { outOfRange, TorchCurvatureError } from '../errors.ts';
import { checkInside, guard, INSIDE, type Inside } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import { Profile } from './profile.ts';
import { actionAt, type ProfilerAction, type Schedule } from './schedule.ts';

/** Called with each profile that is complete. */
export type OnTraceReady = (profile: Profile) => unknown;

/** A profile that is being recorded, from `startProfile` to `stop` or the end of a `using` block. */
export class Profiler implements Disposable {
  readonly #options: RawProfilerOptions;
  readonly #schedule: Schedule | undefined;
  readonly #onTraceReady: OnTraceReady | undefined;
  #action: ProfilerAction = 'none';
  #recording = false;
  #stopped = false;
  #step = 0;
  #region: RegionHandle | undefined;
  #watch: ReturnType<typeof watchOperations> | undefined;
  #last: Profile | undefined;

  static {
    guard(Profiler, (value) => typeof value === 'object' && value !== null && #options in value);
  }

  /** @internal Used by `startProfile`. */
  constructor(
    key: Inside,
    options: RawProfilerOptions,
    plan: Schedule | undefined,
    onTraceReady: OnTraceReady | undefined,
  ) {
    checkInside(key, 'a Profiler comes from startProfile');
    this.#options = options;
    this.#schedule = plan;
    this.#onTraceReady = onTraceReady;
    this.#enter(this.#planned(0));
  }

  /** How many times `step` was called. */
  get stepNumber(): number {
    return this.#step;
  }

  /** The last profile that is complete; undefined before there is one. */
  get profile(): Profile | undefined {
    return this.#last;
  }

  /** Ends a step: what happens in the next one is up to the schedule. */
  step(): void {
    if (this.#stopped) return;
    const next = this.#next(this.#step + 1);
    if (next.ends) this.#refuseRunning();
    this.#leaveStep();
    this.#step++;
    try {
      if (next.ends) this.#end(this.#keeps());
    } finally {
      // Also where `onTraceReady` throws; not where it ends the recording.
      if (!this.#stopped) this.#enter(next.action);
    }
  }

  /**
   * Ends the recording. Twice does no harm.
   *
   * @throws TorchCurvatureError `ERR_PROFILER_BUSY` while operations that it records are running
   * @returns the last profile, also where the schedule has not come to an end; an empty one where nothing was recorded
   */
  stop(): Profile {
    if (!this.#stopped) {
      this.#refuseRunning();
      this.#stopped = true;
      this.#leaveStep();
      this.#end(this.#keeps());
    }
    this.#last ??= new Profile(INSIDE, EMPTY, this.#options);
    return this.#last;
  }

  /** @internal Ends the recording and drops it. */
  cancel(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#leaveStep();
    this.#end(false);
  }

  /**
   * What the end of a `using` block calls: `stop()`. Where operations still run, as after an error, it throws as that does,
   * and the recording ends after them.
   */
  [Symbol.dispose](): void {
    try {
      this.stop();
    } catch (error) {
      if (!this.#stopped) void this.#endLater();
      throw error;
    }
  }

  async #endLater(): Promise<void> {
    await this.settled();
    try {
      this.cancel();
    } catch {
      // Nobody is left to be told.
    }
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'Profiler';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const [action, stepNumber] = [this.#action, this.#step];
    return inspected('Profiler', { action, stepNumber, recording: this.#recording }, how);
  }

  /** @internal Until nothing that writes to the recording is running. */
  async settled(): Promise<void> {
    await this.#watch?.settled();
  }

  #planned(step: number): ProfilerAction {
    return this.#schedule === undefined ? 'record' : actionAt(this.#schedule, step);
  }

  #keeps(): boolean {
    return this.#action === 'record' || this.#action === 'record_and_save';
  }

  /** A profile ends with its last step; what was recorded to be warm is dropped; a schedule may break off, too. */
  #next(step: number): { action: ProfilerAction; ends: boolean } {
    const action = this.#planned(step);
    const before = this.#action;
    const goesOn = before === action || (before === 'record' && action === 'record_and_save');
    return { action, ends: before === 'record_and_save' || !goesOn };
  }

  /** libtorch's recording cannot end under those who write to it. */
  #refuseRunning(): void {
    const running = this.#recording ? (this.#watch?.running() ?? 0) : 0;
    if (running === 0) return;
    throw new TorchCurvatureError(
      'ERR_PROFILER_BUSY',
      `${running} operations that the profile records are running; await them before it ends`,
    );
  }

  #enter(action: ProfilerAction): void {
    this.#action = action;
    if (action === 'none') return;
    if (!this.#recording) {
      addon().profilerStart(this.#options);
      this.#watch = watchOperations();
    }
    this.#recording = true;
    if (this.#schedule !== undefined) this.#region = addon().regionEnter(`ProfilerStep#${this.#step}`);
  }

  #leaveStep(): void {
    if (this.#region !== undefined) addon().regionExit(this.#region, true);
    this.#region = undefined;
  }

  /** Ends the native recording, if there is one. */
  #end(keep: boolean): void {
    if (!this.#recording) return;
    this.#recording = false;
    this.#watch?.end();
    const raw = addon().profilerStop();
    if (!keep) return;
    this.#last = new Profile(INSIDE, raw, this.#options);
    this.#onTraceReady?.(this.#last);
  }
}

const EMPTY = {
  rows: [],
  selfCpuTimeTotal: 0,
  selfDeviceTimeTotal: 0,
  peakMemory: 0,
  events: () => [],
  save(): never {
    throw outOfRange('nothing was recorded: the schedule had no step to keep');
  },
};
