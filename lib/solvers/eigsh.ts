import type { FloatArray } from '../arrays.ts';
import { checkOneOf, positive } from '../check.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { run, runSync } from '../run.ts';
import {
  given,
  optionalAmount,
  optionalCount,
  type SolverOptions,
  seedOf,
  solverRequest,
} from './arguments.ts';

/** Of `eigsh`. */
export interface EigshOptions extends SolverOptions {
  /** How many; 6 by default. */
  k?: number;
  /** Largest or smallest by magnitude (`'LM'`, the default, `'SM'`) or by value (`'LA'`, `'SA'`), as in SciPy. */
  which?: 'LM' | 'SM' | 'LA' | 'SA';
  /** On ‖A q − λ q‖ relative to |λ|; by default what the precision allows. */
  tolerance?: number;
  /** Products with the operator; ten times its size by default, at least 1000. */
  maxIterations?: number;
  /** Lanczos vectors kept; max(2k + 1, 20) by default. */
  basis?: number;
  /** Of the start vector; 0 by default. */
  seed?: number | bigint;
}

const EIGSH_OPTIONS = new OptionNames<EigshOptions>({
  k: true,
  which: true,
  tolerance: true,
  maxIterations: true,
  basis: true,
  seed: true,
  threads: true,
  signal: true,
});

/** What `eigsh` found. Not to converge is a result, no failure. */
export interface Eigenpairs {
  /** [k], ascending. */
  eigenvalues: FloatArray;
  /** [k, n], row-major: each row one, of norm 1. */
  eigenvectors: FloatArray;
  /** [k], ‖A q − λ q‖. */
  residualNorms: FloatArray;
  /** Products with the operator. */
  iterations: number;
  /** Whether all pairs are within the tolerance. */
  converged: boolean;
  /** `converged`, `maxIterations` or `nan`. */
  reason: string;
  /** For people; empty when converged. */
  message: string;
}

/**
 * Some eigenvalues and eigenvectors of a symmetric operator, by Lanczos with full re-orthogonalisation and restarts.
 *
 * @throws RangeError when k is not within 1 to n
 */
export async function eigsh(op: LinearOperator, options?: EigshOptions): Promise<Eigenpairs> {
  const { request, signal, describe } = eigshRequest(op, options);
  return run('eigsh', request, signal, describe);
}
/** `eigsh` on the calling thread. */
export function eigshSync(op: LinearOperator, options?: EigshOptions): Eigenpairs {
  const { request, signal, describe } = eigshRequest(op, options);
  return runSync('eigsh', request, signal, describe);
}

function eigshRequest(op: LinearOperator, options: EigshOptions | undefined) {
  const { k = 6, which = 'LM', tolerance, maxIterations, basis, seed, ...how } = EIGSH_OPTIONS.read(options);
  const { request, ...rest } = solverRequest('eigsh', op, how);
  return {
    ...rest,
    request: {
      ...request,
      k: positive(k, 'k', op.shape[0]),
      which: checkOneOf(which, ['LM', 'SM', 'LA', 'SA'] as const, 'which'),
      seed: seedOf(seed),
      ...given({
        tolerance: optionalAmount(tolerance, 'tolerance'),
        maxIterations: optionalCount(maxIterations, 'maxIterations'),
        basis: optionalCount(basis, 'basis'),
      }),
    },
  };
}
