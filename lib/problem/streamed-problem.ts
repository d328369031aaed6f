import type { BatchSource } from './batches.ts';
import type { LossProblem } from './loss.ts';

/** A problem whose data are a stream of batches. */
export interface StreamedProblem extends Omit<LossProblem, 'x' | 'target' | 'loss'> {
  /** Gone through once for each product, twice for centred ones, and once when an operator is made. */
  batches: BatchSource;
  /** For operators of a loss. */
  loss?: LossProblem['loss'];
}

export function isStreamed(problem: unknown): problem is StreamedProblem {
  return typeof problem === 'object' && problem !== null && 'batches' in problem;
}
