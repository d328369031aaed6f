/** libtorch's own profiler. */
import { types } from 'node:util';
import { addon } from '../addon/addon.ts';
import type { RawProfilerOptions } from '../addon/profiles.ts';
import { describe } from '../arrays.ts';
import { checkOneOf } from '../check.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { checkAwaitable, listOf } from '../foreign.ts';
import { INSIDE } from '../guard.ts';
import { noOptions, OptionNames } from '../options.ts';
import type { Profile } from './profile.ts';
import { type OnTraceReady, Profiler } from './recorder.ts';
import type { Schedule } from './schedule.ts';

export type { ProfileEvent } from './events.ts';
export type { KeyAverages, KeyAveragesOptions, Profile, TableOptions } from './profile.ts';
export type { OnTraceReady, Profiler } from './recorder.ts';
export type { ProfileRow } from './rows.ts';
export { type ProfilerAction, type Schedule, type ScheduleOptions, schedule } from './schedule.ts';
export { type TraceHandlerOptions, tensorboardTraceHandler } from './tensorboard.ts';

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
  /** Which steps to record, from `schedule` or a function of one's own; everything by default. */
  schedule?: Schedule;
  /** Is given each profile that is complete: the last step of a cycle, or the end. */
  onTraceReady?: OnTraceReady;
}

const PROFILE_OPTIONS = new OptionNames<ProfileOptions>({
  activities: true,
  recordShapes: true,
  profileMemory: true,
  withFlops: true,
  schedule: true,
  onTraceReady: true,
});

/**
 * Begins to record what libtorch and the package do for this thread, on whatever thread products run, until `stop` or
 * the end of a `using` block. One profile can be recorded at a time in a process. Promises should be awaited before
 * the end.
 *
 * @throws TorchCurvatureError `ERR_PROFILER_BUSY`; `ERR_DEVICE_UNAVAILABLE` for `'cuda'` without a device
 */
export function startProfile(options?: ProfileOptions): Profiler {
  const { raw, schedule, onTraceReady } = checkOptions(PROFILE_OPTIONS.read(options));
  return new Profiler(INSIDE, raw, schedule, onTraceReady);
}

/**
 * Runs `body` and records what libtorch and the package do meanwhile for this thread, on whatever thread products run.
 * `body` is given the profiler, whose `step` drives a schedule; the profile is then that of the last cycle. Products that
 * `body` began and did not await are waited for.
 *
 * @throws TorchCurvatureError as `startProfile`
 */
export async function profile<T>(
  body: (profiler: Profiler) => T | PromiseLike<T>,
  options?: ProfileOptions,
): Promise<{ result: Awaited<T>; profile: Profile }> {
  if (typeof body !== 'function') throw wrongType(`profile expects a function, got ${describe(body)}`);
  const profiler = startProfile(options);
  let result: Awaited<T>;
  try {
    result = await checkAwaitable(body(profiler), 'what body returns');
  } catch (error) {
    await profiler.settled();
    profiler.cancel();
    throw error;
  }
  await profiler.settled();
  return { result, profile: profiler.stop() };
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
  schedule,
  onTraceReady,
}: ProfileOptions) {
  const chosen = listOf(activities, 'activities').map((activity) =>
    checkOneOf(activity, ['cpu', 'cuda'] as const, 'an activity'),
  );
  if (chosen.length === 0) throw outOfRange('activities should name at least one of cpu and cuda');
  for (const [name, value] of Object.entries({ schedule, onTraceReady })) {
    if (value !== undefined && typeof value !== 'function')
      throw wrongType(`${name} should be a function, got ${describe(value)}`);
  }
  const raw: RawProfilerOptions = {
    cpu: chosen.includes('cpu'),
    cuda: chosen.includes('cuda'),
    recordShapes: Boolean(recordShapes),
    profileMemory: Boolean(profileMemory),
    withFlops: Boolean(withFlops),
  };
  return { raw, schedule, onTraceReady };
}
