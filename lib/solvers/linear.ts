/** Solvers of A x = b. They run natively on the operator's device: no vector crosses into JavaScript on the way. */

import { describe, type FloatArray, type ResultArray, type Same } from '../arrays.ts';
import { checkVector, positive } from '../check.ts';
import { TorchCurvatureError, wrongType } from '../errors.ts';
import {
  checkOperator,
  diagonalOperator,
  type LinearOperator,
  type OperatorVector,
} from '../operators/linear-operator.ts';
import { type NamesOf, OptionNames } from '../options.ts';
import { optionalAmount, optionalLimit, type SolverOptions, solver } from './arguments.ts';
import { listening, type SolverProgress } from './progress.ts';
import { type LinearSolution, type SolverRecord, summary } from './solution.ts';

export type { LinearSolution, SolverProgress, SolverRecord };

/** Of `cg` and `minres`. */
export interface LinearSolverOptions<F extends FloatArray = FloatArray> extends SolverOptions {
  /** On ‖b − A x‖ / ‖b‖; 1e-5 by default. */
  tolerance?: number;
  /**
   * Steps for each right-hand side; ten times the number of unknowns by default. After k steps x is the k-th iterate of
   * the method: stopped early, `cg` is truncated CG. With 0, x is the start.
   */
  maxIterations?: number;
  /** An approximation of A⁻¹, symmetric positive definite: an operator, or the diagonal of one. */
  preconditioner?: LinearOperator<F> | F;
  /** Where to start, of the shape of b; zero by default. */
  x0?: F;
  /** How many right-hand sides b holds, row-major [k, n]; one by default. */
  k?: number;
  /**
   * Called after each iteration. When it returns `false` the solver ends with the reason `'stopped'` and the iterate it
   * reached; when it throws, or a promise that it returns rejects, the call fails with the reason. An asynchronous solver does not wait for it and may have
   * gone on for some iterations, of which it then hears no more.
   */
  onIteration?: (progress: SolverProgress) => unknown;
}

/** Of `cg`. */
export interface CgOptions<F extends FloatArray = FloatArray> extends LinearSolverOptions<F> {
  /**
   * Solves for all k right-hand sides in one Krylov space, by products with k vectors at once: fewer iterations than for each
   * by itself, which count once for all.
   */
  block?: boolean;
}

const LINEAR_SOLVER_NAMES: NamesOf<LinearSolverOptions> = {
  tolerance: true,
  maxIterations: true,
  preconditioner: true,
  x0: true,
  k: true,
  onIteration: true,
  threads: true,
  signal: true,
};
const LINEAR_SOLVER_OPTIONS = new OptionNames<LinearSolverOptions>(LINEAR_SOLVER_NAMES);
const CG_OPTIONS = new OptionNames<CgOptions>({ ...LINEAR_SOLVER_NAMES, block: true });

/** A solver of A x = b by a method of native/core/solvers. */
const linearSolver = <Options extends CgOptions>(name: string, names: OptionNames<Options>) =>
  solver(
    { name, names },
    (
      op,
      { tolerance, maxIterations, preconditioner, x0, k, onIteration, block = false },
      b: OperatorVector,
    ) => {
      const count = k === undefined ? 1 : positive(k, 'k');
      const length = count * op.shape[0];
      const { report, hears } = listening(onIteration, op.together);
      if (typeof block !== 'boolean')
        throw wrongType(`block should be true or false, got ${describe(block)}`);
      // Checked first: a preconditioner may be made, which has to be disposed.
      const options = {
        b: count === 1 ? op.rowVector(b, 'b') : checkVector(b, 'b', length, op.dtype, 'the operator is'),
        tolerance: optionalAmount(tolerance, 'tolerance'),
        maxIterations: optionalLimit(maxIterations, 'maxIterations'),
        x0: x0 === undefined ? undefined : checkVector(x0, 'x0', length, op.dtype, 'the operator is'),
        count: k === undefined ? undefined : count,
        block: block ? true : undefined,
        onIteration: report,
      };
      const { handle, release } = preconditionerOf(op, preconditioner);
      return {
        options: { ...options, preconditioner: handle },
        ...hears,
        result: (found) => summary(found as LinearSolution),
        release,
      };
    },
  );

/** Used inside the package: an operator for what was given, which `release` disposes where it was made here. */
export function preconditionerOf(op: LinearOperator, given: LinearSolverOptions['preconditioner']) {
  if (given === undefined) return { handle: undefined, release: () => {} };
  const owned = ArrayBuffer.isView(given)
    ? diagonalOperator(checkVector(given, 'preconditioner', op.shape[0], op.dtype, 'the operator is'), {
        device: op.device,
      })
    : undefined;
  const used = owned ?? given;
  checkOperator(used, 'preconditioner');
  if (used.dtype !== op.dtype) {
    throw new TorchCurvatureError(
      'ERR_DTYPE_MISMATCH',
      `preconditioner should be ${op.dtype} as the operator is, got ${used.dtype}`,
    );
  }
  return { handle: used.handle, release: () => owned?.dispose() };
}

const CG = linearSolver('cg', CG_OPTIONS);

/**
 * Conjugate gradients, for a symmetric positive definite A. A direction p with pᵀA p ≤ 0 shows that A is not: the
 * solver ends with the reason `'indefinite'`; use `minres` then. Sizes of A and b between the ends of the precision do not
 * matter: the solver scales them.
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square or b does not fit, `ERR_DTYPE_MISMATCH`
 * @throws RangeError when A is seen not to be symmetric
 */
export async function cg<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: CgOptions<Same<F>>,
): Promise<LinearSolution<F>> {
  return CG.promised(op, options, b) as Promise<LinearSolution<F>>;
}
/** `cg` on the calling thread. */
export function cgSync<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: CgOptions<Same<F>>,
): LinearSolution<F> {
  return CG.sync(op, options, b) as LinearSolution<F>;
}

const MINRES = linearSolver('minres', LINEAR_SOLVER_OPTIONS);

/**
 * The minimum-residual method, for a symmetric A, which may be indefinite or singular. From a condition number
 * of some 1/√ε on (3e3 in float32, 7e7 in float64) it may take A for singular and end with the reason `'stagnation'` above the
 * tolerance; where A is positive definite, use `cg`.
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square or b does not fit, `ERR_DTYPE_MISMATCH`
 * @throws RangeError when A is seen not to be symmetric
 */
export async function minres<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: LinearSolverOptions<Same<F>>,
): Promise<LinearSolution<F>> {
  return MINRES.promised(op, options, b) as Promise<LinearSolution<F>>;
}
/** `minres` on the calling thread. */
export function minresSync<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: LinearSolverOptions<Same<F>>,
): LinearSolution<F> {
  return MINRES.sync(op, options, b) as LinearSolution<F>;
}
