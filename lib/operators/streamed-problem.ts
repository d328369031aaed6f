/** A problem whose data are a stream of batches. */
import { Names } from '../options.ts';
import { checkModel } from '../products.ts';
import type { BatchSource } from './batches.ts';
import type { LossProblem } from './problem.ts';

/** A problem whose data are a stream of batches. */
export interface StreamedProblem extends Omit<LossProblem, 'x' | 'target' | 'loss'> {
  /** Gone through once for each product, twice for centred ones, and once when an operator is made. */
  batches: BatchSource;
  /** For operators of a loss. */
  loss?: LossProblem['loss'];
}

const STREAMED = new Names<StreamedProblem>('problem', {
  model: true,
  params: true,
  batches: true,
  loss: true,
  reduction: true,
});

/** A copy of the problem with a model in it; the batches are checked as they come. */
export function readStreamed(problem: StreamedProblem): StreamedProblem {
  const given = STREAMED.read(problem);
  checkModel(given.model);
  return given;
}

export function isStreamed(problem: unknown): problem is StreamedProblem {
  return typeof problem === 'object' && problem !== null && 'batches' in problem;
}
