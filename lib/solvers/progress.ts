/** What iterations tell the caller. */
import { types } from 'node:util';
import { describe } from '../arrays.ts';
import { wrongType } from '../errors.ts';

/** What `onIteration` is told. */
export interface SolverProgress {
  /** From 1. */
  iteration: number;
  /** ‖b − A x‖, as the method carries it along. */
  residualNorm: number;
  /** Which right-hand side, from 0. */
  rightHandSide: number;
}

/**
 * `onIteration` as the addon calls it, and what to wait for at the end: promises that it gave, of which one that rejects is
 * as good as a throw.
 *
 * @throws TypeError
 */
export function listening(onIteration: ((progress: SolverProgress) => unknown) | undefined) {
  if (onIteration === undefined) return { report: undefined, heard: () => undefined };
  if (typeof onIteration !== 'function') {
    throw wrongType(`onIteration should be a function, got ${describe(onIteration)}`);
  }
  let answers: Promise<unknown> | undefined;
  const report = (rightHandSide: number, iteration: number, residualNorm: number) => {
    const answer = onIteration({ iteration, residualNorm, rightHandSide });
    if (types.isPromise(answer)) {
      answers = Promise.all([answers, answer]);
      answers.catch(() => {}); // heard of at the end
    }
    return answer;
  };
  return { report, heard: () => answers };
}
