/** What iterations tell the caller. */
import { types } from 'node:util';
import type { Together } from '../addon/operation.ts';
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
 * as good as a throw. Where it throws, processes that solve the system with this one hear of it at once: what they multiply
 * next is not what this one does, whose call fails with what was thrown.
 *
 * @throws TypeError
 */
export function listening(
  onIteration: ((progress: SolverProgress) => unknown) | undefined,
  together: Pick<Together, 'leave'> | undefined,
) {
  if (onIteration === undefined) return { report: undefined, hears: {} };
  if (typeof onIteration !== 'function') {
    throw wrongType(`onIteration should be a function, got ${describe(onIteration)}`);
  }
  let answers: Promise<unknown> | undefined;
  let thrown: { error: unknown } | undefined;
  const ask = (progress: SolverProgress) => {
    try {
      return onIteration(progress);
    } catch (error) {
      thrown = { error };
      together?.leave(true);
      throw error;
    }
  };
  const report = (rightHandSide: number, iteration: number, residualNorm: number) => {
    const answer = ask({ iteration, residualNorm, rightHandSide });
    if (types.isPromise(answer)) {
      answers = Promise.all([answers, answer]);
      answers.catch(() => {}); // heard of at the end
    }
    return answer;
  };
  return { report, hears: { heard: () => answers, thrown: () => thrown } };
}
