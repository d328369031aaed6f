/** Steps of an optimizer, until there is a reason to end. */
import type { optim } from '../../index.ts';

/**
 * Why a training ended:
 * - `steps`: all of them were done.
 * - `converged`: the norm of the gradient was small enough.
 * - `noStepAccepted`: none of the last ones moved the parameters.
 * - `interrupted`: by a signal.
 * - `failed`: with an error, in a step or in the loss at the end.
 */
export type TrainingReason = 'steps' | 'converged' | 'noStepAccepted' | 'interrupted' | 'failed';

export interface TimedRecord extends optim.StepRecord {
  milliseconds: number;
}

export interface Training {
  records: TimedRecord[];
  reason: TrainingReason;
  /** Where it failed. */
  error?: unknown;
}

export interface StepsOptions {
  /** The most. */
  steps: number;
  /** How many in a row may leave the parameters where they are. */
  patience: number;
  /** Ends where ‖∇L‖ is at most this, or after a step from there; never where it is left out. */
  gradientTolerance?: number | undefined;
  /** ‖∇L‖ at the start. */
  gradientNorm: number;
  /** The data of each step, where these are not all. */
  data?: Iterator<optim.StepData, never> | undefined;
  /** A step that it stops leaves the parameters as they were, as one that fails does. */
  signal: AbortSignal;
  onStep: (record: TimedRecord) => void;
}

export async function takeSteps(optimizer: optim.Optimizer, options: StepsOptions): Promise<Training> {
  const { steps, patience, gradientTolerance = -1, gradientNorm, data, signal, onStep } = options;
  const records: TimedRecord[] = [];
  const ended = (reason: TrainingReason): Training => ({ records, reason });
  if (gradientNorm <= gradientTolerance) return ended('converged');
  let rejected = 0;
  while (records.length < steps) {
    const start = performance.now();
    let step: optim.StepRecord;
    try {
      signal.throwIfAborted();
      step = await optimizer.step({ ...data?.next().value, signal });
    } catch (error) {
      if (signal.aborted && error === signal.reason) return ended('interrupted');
      return { ...ended('failed'), error };
    }
    const record = { ...step, milliseconds: performance.now() - start };
    records.push(record);
    onStep(record);
    if (record.gradientNorm <= gradientTolerance) return ended('converged');
    rejected = record.accepted ? 0 : rejected + 1;
    if (rejected === patience) return ended('noStepAccepted');
  }
  return ended('steps');
}

/** The loss that a step led to, of its data. */
export const lossAfter = ({ accepted, candidateLoss, loss }: optim.StepRecord) =>
  accepted ? candidateLoss : loss;
