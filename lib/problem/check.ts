/** Checks of problems, with or without a loss, with all rows at once or in a stream. */
import { wrongType } from '../errors.ts';
import { Model } from '../model/model.ts';
import { Names } from '../options.ts';
import { bound } from './bound.ts';
import type { GivenLossProblem } from './loss.ts';
import { marksOf } from './part.ts';
import type { Problem } from './problem.ts';
import { type GivenStreamedProblem, isStreamed } from './streamed-problem.ts';

/** One record may serve products and operators of a loss, so what only these look at is known to all. */
const PROBLEM = new Names<GivenLossProblem>('problem', {
  model: true,
  params: true,
  x: true,
  target: true,
  loss: true,
  reduction: true,
  l2: true,
});

/** A copy of a problem with a model in it; the rest is checked with the model. */
export function checkProblem(problem: Problem): GivenLossProblem {
  if (isStreamed(problem)) {
    throw wrongType('problem.batches is not taken here: give all rows at once, as problem.x');
  }
  refuseBound(problem);
  const given = PROBLEM.read(problem);
  checkModel(given.model);
  return marksOf(problem, given);
}

const STREAMED = new Names<GivenStreamedProblem>('problem', {
  model: true,
  params: true,
  batches: true,
  loss: true,
  reduction: true,
  l2: true,
});

/** A copy of the problem with a model in it; the batches are checked as they come. */
export function readStreamed(problem: GivenStreamedProblem): GivenStreamedProblem {
  const given = STREAMED.read(problem);
  checkModel(given.model);
  return given;
}

function refuseBound(problem: object): void {
  if (bound.has(problem))
    throw wrongType('problem is what bind gave, which has no parameters: give bound.at(params)');
}

export function checkModel(model: unknown): asserts model is Model {
  if (!Model.is(model)) {
    throw wrongType('problem.model should come from Model.sequential or Model.load');
  }
}
