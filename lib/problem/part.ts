/** Problems whose rows are some of a larger batch: a stream's. The addon refuses rows that depend on one another there. */
import type { Inputs } from '../model/inputs.ts';
import type { Model } from '../model/model.ts';

const marked = new WeakSet<object>();

/**
 * A function that marks the problems of a stream's batches, in one pass. Whether rows depend on one another is looked at
 * once, in the first batch that has two.
 */
export function parts(): <P extends { model: Model; x: Inputs }>(problem: P) => P {
  let looked = false;
  return (problem) => {
    if (!looked) marked.add(problem);
    looked ||= problem.model.rowsOf(problem.x) > 1;
    return problem;
  };
}

/** A copy of a problem, marked as that is. */
export function marksOf<P extends object>(problem: object, copy: P): P {
  if (marked.has(problem)) marked.add(copy);
  return copy;
}

export function isCut(problem: object): boolean {
  return marked.has(problem);
}
