import type { FloatArray } from '../arrays.ts';
import { isRevoked } from '../foreign.ts';
import type { BatchSource } from './batches.ts';
import type { LossProblem } from './loss.ts';

/** A problem whose data are a stream of batches. */
export interface StreamedProblem<F extends FloatArray = FloatArray, Given extends string = never>
  extends Omit<LossProblem<F, Given>, 'x' | 'target' | 'loss'> {
  /** Gone through once for each product, twice for centered ones, and once when an operator is made. */
  batches: BatchSource;
  /** For operators of a loss. */
  loss?: LossProblem<F, Given>['loss'];
}

/** Used inside the package: one whose names are still to be checked. */
export type GivenStreamedProblem = StreamedProblem<FloatArray, string>;

export function isStreamed(problem: unknown): problem is GivenStreamedProblem {
  return typeof problem === 'object' && problem !== null && !isRevoked(problem) && 'batches' in problem;
}
