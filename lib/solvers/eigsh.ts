import type { FloatArray, ResultArray } from '../arrays.ts';
import { checkFinite, checkOneOf, positive } from '../check.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import {
  checkNotEmpty,
  optionalAmount,
  optionalCount,
  type SolverOptions,
  seedOf,
  solver,
} from './arguments.ts';
import { type EigshEnd, type EigshReason, ENDS } from './reasons.ts';

/** Of `eigsh`. */
export interface EigshOptions extends SolverOptions {
  /** How many; 6 by default, or all where there are fewer. */
  k?: number;
  /**
   * Largest or smallest by magnitude (`'LM'`, the default, `'SM'`) or by value (`'LA'`, `'SA'`), or half from each end
   * (`'BE'`, for an odd k one more from the high end), as in SciPy. `'SM'` forms the matrix, up to 2048 unknowns; `'SA'`
   * finds the same of a positive semi-definite operator of any size.
   */
  which?: EigshEnd;
  /** On ‖A q − λ q‖ relative to |λ|; by default what the precision allows. */
  tolerance?: number;
  /** The most products with the operator; ten times its size by default, at least 1000. */
  maxIterations?: number;
  /** Lanczos vectors kept; max(2k + 1, 20) by default, with a `block` of several 2k + 12 block where that is more. */
  basis?: number;
  /**
   * Vectors that are multiplied at once, 1 by default: a space begun from so many holds as many copies of a repeated
   * eigenvalue, and takes fewer steps of more products each.
   */
  block?: number;
  /**
   * Looks for the eigenvalues λ near it: `which` is then of 1/(λ − sigma), so that `'LM'` gives the nearest ones, as in SciPy.
   * Each step solves a system with A − sigma I by `minres`, and `iterations` counts the products of all. The tolerance is
   * that on A q − λ q here too.
   */
  sigma?: number;
  /** Of the start vector; 0 by default. */
  seed?: number | bigint;
}

const EIGSH_OPTIONS = new OptionNames<EigshOptions>({
  k: true,
  which: true,
  tolerance: true,
  maxIterations: true,
  basis: true,
  block: true,
  sigma: true,
  seed: true,
  threads: true,
  signal: true,
});

/** What `eigsh` found. Not to converge is a result, no failure. */
export interface Eigenpairs<F extends FloatArray = FloatArray> {
  /** [k], ascending; as `eigenvectors` and `residualNorms`, of fewer pairs where `maxIterations` was less than k. */
  eigenvalues: ResultArray<F>;
  /** [k, n], row-major: each row one, orthonormal. */
  eigenvectors: ResultArray<F>;
  /** [k], ‖A q − λ q‖ of the pairs returned; where it did not converge, as the method carries it along. */
  residualNorms: ResultArray<F>;
  /** Products with the operator. */
  iterations: number;
  /** Whether all pairs are within the tolerance. */
  converged: boolean;
  /** Why it ended. */
  reason: EigshReason;
  /** For people; empty when converged. */
  message: string;
}

const EIGSH = solver(
  { name: 'eigsh', names: EIGSH_OPTIONS },
  (op, { k, which = 'LM', tolerance, maxIterations, basis, block, sigma, seed }) => {
    checkNotEmpty(op, 'eigsh');
    const most = op.shape[0];
    return {
      options: {
        k: k === undefined ? Math.min(6, most) : positive(k, 'k', most),
        which: checkOneOf(which, ENDS, 'which'),
        seed: seedOf(seed),
        tolerance: optionalAmount(tolerance, 'tolerance'),
        maxIterations: optionalCount(maxIterations, 'maxIterations'),
        basis: optionalCount(basis, 'basis'),
        block: optionalCount(block, 'block'),
        sigma: sigma === undefined ? undefined : checkFinite(sigma, 'sigma', op.dtype),
      },
      result: (found) => found as Eigenpairs,
    };
  },
);

/**
 * Some eigenvalues and eigenvectors of a symmetric operator, by Lanczos with full re-orthogonalization and restarts.
 * What converged is verified in a fresh random direction, so that no copy of a repeated eigenvalue is missing. Where the
 * Lanczos basis would span the whole space, and where up to 2048 unknowns have not converged after as many products, the
 * matrix itself is formed and solved; likewise where a `sigma` is so far from the eigenvalues that its inverse does not tell
 * them apart.
 *
 * @throws RangeError when k is not within 1 to n, or A is seen not to be symmetric
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square, `ERR_UNSUPPORTED_OP` for `'SM'` of more than 2048
 * unknowns, `ERR_NO_CONVERGENCE` for a `sigma` that is an eigenvalue or too close to one
 */
export async function eigsh<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: EigshOptions,
): Promise<Eigenpairs<F>> {
  return EIGSH.promised(op, options) as Promise<Eigenpairs<F>>;
}
/** `eigsh` on the calling thread. */
export function eigshSync<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: EigshOptions,
): Eigenpairs<F> {
  return EIGSH.sync(op, options) as Eigenpairs<F>;
}
