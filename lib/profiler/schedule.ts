/** Which steps of a long run are recorded, as `torch.profiler.schedule` has it. */
import { types } from 'node:util';
import { describe } from '../arrays.ts';
import { outOfRange } from '../errors.ts';
import { Names } from '../options.ts';

const ACTIONS = ['none', 'warmup', 'record', 'record_and_save'] as const;

/**
 * What the profiler does in a step: nothing; record without keeping, to be warm; record; record, and hand the profile
 * over when the step ends.
 */
export type ProfilerAction = (typeof ACTIONS)[number];

/** What to do in step 0, 1, … */
export type Schedule = (step: number) => ProfilerAction;

/** Numbers of steps. */
export interface ScheduleOptions {
  /** Steps of a cycle in which nothing happens. 0 by default. */
  wait?: number;
  /** Steps that are recorded and thrown away. 0 by default. */
  warmup?: number;
  /** Steps that are kept. */
  active: number;
  /** Cycles; 0, the default, means without end. */
  repeat?: number;
  /** Steps before the first cycle. 0 by default. */
  skipFirst?: number;
}

const SCHEDULE_OPTIONS = new Names<ScheduleOptions>('options', {
  wait: true,
  warmup: true,
  active: true,
  repeat: true,
  skipFirst: true,
});

/**
 * Cycles of `wait` idle steps, `warmup` steps whose records are dropped, and `active` steps that are kept, after
 * `skipFirst` steps. Each call of `Profiler.step` ends a step.
 */
export function schedule(options: ScheduleOptions): Schedule {
  const { wait, warmup, active, repeat, skipFirst } = SCHEDULE_OPTIONS.read(options);
  const idle = steps(wait ?? 0, 'wait');
  const warm = steps(warmup ?? 0, 'warmup');
  const kept = steps(active, 'active');
  const cycles = steps(repeat ?? 0, 'repeat');
  const skipped = steps(skipFirst ?? 0, 'skipFirst');
  if (kept === 0) throw outOfRange('active should be at least 1');
  const length = idle + warm + kept;
  return (step) => {
    const since = step - skipped;
    if (since < 0 || (cycles > 0 && since >= cycles * length)) return 'none';
    const within = since % length;
    if (within < idle) return 'none';
    if (within < idle + warm) return 'warmup';
    return within < length - 1 ? 'record' : 'record_and_save';
  };
}

/** The action of a schedule that anybody may have written. */
export function actionAt(plan: Schedule, step: number): ProfilerAction {
  const action = plan(step);
  if (ACTIONS.includes(action)) return action;
  if (types.isPromise(action)) action.catch(() => {});
  throw outOfRange(`a schedule should return one of ${ACTIONS.join(', ')}, got ${describe(action)}`);
}

function steps(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) {
    throw outOfRange(`${name} should be a whole number of steps, got ${describe(value)}`);
  }
  return value as number;
}
