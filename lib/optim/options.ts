/** What optimizers take. */
import type { FloatArray } from '../arrays.ts';
import type { ProcessGroup } from '../distributed/process-group.ts';
import { distributed } from '../operators/distributed.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import type { NamesOf } from '../options.ts';
import { LINEARIZE_NAMES, type LinearizeOptions } from '../products/linearize.ts';

/** How products are computed; a signal is one of each step. */
export interface How extends Omit<LinearizeOptions, 'signal'> {
  /** Of the rows of the problem, at least 0, as in `lossAndGradient`. */
  weights?: FloatArray;
  /**
   * The data of the problem, and of each step, are this rank's part of those of the group: the steps are those for all of
   * them, the same on every rank.
   */
  group?: ProcessGroup;
}
/** How those of one step are. */
export interface StepHow extends LinearizeOptions {
  weights?: FloatArray;
  group?: ProcessGroup;
}

const { signal: _, ...names } = LINEARIZE_NAMES;
export const HOW_NAMES: NamesOf<How> = { ...names, weights: true, group: true };

/** The curvature matrix of all data, where `make` makes that of this process's. */
export async function curvatureOf(
  make: (how: LinearizeOptions) => Promise<LinearOperator>,
  { group, ...how }: StepHow,
): Promise<LinearOperator> {
  const own = await make(how);
  if (group === undefined) return own;
  using _ = own;
  return distributed(own, { group });
}

/** Of methods that solve (A + λI) d = −∇L by conjugate gradients. */
export interface DampedOptions extends How {
  /** λ of the first step, from 1e-15 to 1e15, between which it stays; 0.01 by default. */
  damping?: number;
  /** Of `cg`, relative to ‖∇L‖; 1e-3 by default. */
  tolerance?: number;
  /** Of `cg`; 250 by default. */
  maxIterations?: number;
}

export const DAMPED_NAMES: NamesOf<DampedOptions> = {
  ...HOW_NAMES,
  damping: true,
  tolerance: true,
  maxIterations: true,
};
