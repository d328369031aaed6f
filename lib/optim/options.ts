/** What optimizers take. */
import type { NamesOf } from '../options.ts';
import { LINEARIZE_NAMES, type LinearizeOptions } from '../products/linearize.ts';

/** How products are computed; a signal is one of each step. */
export type How = Omit<LinearizeOptions, 'signal'>;

const { signal: _, ...names } = LINEARIZE_NAMES;
export const HOW_NAMES: NamesOf<How> = names;

/** Of methods that solve (A + λI) d = −∇L by conjugate gradients. */
export interface DampedOptions extends How {
  /** λ of the first step; 0.01 by default. */
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
