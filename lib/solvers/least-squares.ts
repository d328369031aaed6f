/** Solvers of least-squares problems, for operators of any shape. */

import type { FloatArray, ResultArray, Same } from '../arrays.ts';
import { checkFinite, checkVector } from '../check.ts';
import type { LinearOperator, OperatorVector } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { optionalAmount, optionalLimit, type SolverOptions, solver } from './arguments.ts';
import { listening, type SolverProgress } from './progress.ts';

/** Of `lsmr` and `lsqr`; names and defaults as in SciPy. */
export interface LeastSquaresOptions<F extends FloatArray = FloatArray> extends SolverOptions {
  /** λ of min ‖b − A x‖² + λ² ‖x − x0‖²; 0 by default. */
  damp?: number;
  /** Relative error of A, to which the residual of a least-squares solution is orthogonal to it; 1e-6 by default. */
  atol?: number;
  /** Relative error of b; 1e-6 by default. */
  btol?: number;
  /** Ends where the condition of A seems to be larger; 1e8 by default, 0 for never. */
  conlim?: number;
  /** By default the smaller of the numbers of rows and columns for `lsmr`, twice that of columns for `lsqr`. */
  maxIterations?: number;
  /** Where to start, [columns]; zero by default. */
  x0?: F;
  /** As of `cg`; `residualNorm` includes λ ‖x − x0‖. */
  onIteration?: (progress: SolverProgress) => unknown;
}

const OPTIONS = new OptionNames<LeastSquaresOptions>({
  damp: true,
  atol: true,
  btol: true,
  conlim: true,
  maxIterations: true,
  x0: true,
  onIteration: true,
  threads: true,
  signal: true,
});

/**
 * Why a least-squares solver ended:
 * - `solution`: A x = b, to `atol` and `btol`.
 * - `leastSquares`: x is the least-squares solution, to `atol`.
 * - `condition`: A seems to be worse conditioned than `conlim`.
 * - `maxIterations`, `range`, `stopped`, `nan`: as of `cg`.
 */
export type LeastSquaresReason =
  | 'solution'
  | 'leastSquares'
  | 'condition'
  | 'maxIterations'
  | 'range'
  | 'stopped'
  | 'nan';

/** What `lsmr` and `lsqr` found. Not to converge is a result, no failure. */
export interface LeastSquaresSolution<F extends FloatArray = FloatArray> {
  /** [columns] */
  x: ResultArray<F>;
  /** Steps of the method, a product with A and one with Aᵀ each. */
  iterations: number;
  /** ‖b − A x‖ of the x returned, by a product. */
  residualNorm: number;
  /** ‖Aᵀ(b − A x) − λ²(x − x0)‖ of the x returned, by products. */
  normalResidualNorm: number;
  /** An estimate of the Frobenius norm of A, with λI below it. */
  normA: number;
  /** An estimate of the condition of that. */
  conditionA: number;
  /** Whether it is a solution or a least-squares solution. */
  converged: boolean;
  /** Why it ended. */
  reason: LeastSquaresReason;
  /** For people; empty when converged. */
  message: string;
}

/** A method of native/core/solvers by its name. */
const leastSquaresSolver = (name: string) =>
  solver(
    { name, names: OPTIONS, rectangular: true },
    (op, { damp, atol, btol, conlim, maxIterations, x0, onIteration }, b: OperatorVector) => {
      const { report, hears } = listening(onIteration, op.together);
      return {
        options: {
          b: op.rowVector(b, 'b'),
          damp: damp === undefined ? undefined : checkFinite(damp, 'damp', op.dtype),
          atol: optionalAmount(atol, 'atol'),
          btol: optionalAmount(btol, 'btol'),
          conlim: optionalAmount(conlim, 'conlim'),
          maxIterations: optionalLimit(maxIterations, 'maxIterations'),
          x0: x0 === undefined ? undefined : checkVector(x0, 'x0', op.shape[1], op.dtype, 'the operator is'),
          onIteration: report,
        },
        ...hears,
        result: (found) => found as LeastSquaresSolution,
      };
    },
  );

const LSMR = leastSquaresSolver('lsmr');

/**
 * min ‖b − A x‖² + λ² ‖x − x0‖² for an operator of any shape, by products with A and Aᵀ: of several solutions the one
 * nearest x0, but 0 for a b and λ of 0. In every step the residual of the normal equations falls (Fong & Saunders 2011, "LSMR: an iterative algorithm
 * for sparse least-squares problems"), so that it may be stopped early.
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when b or x0 do not fit, `ERR_DTYPE_MISMATCH`
 */
export async function lsmr<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: LeastSquaresOptions<Same<F>>,
): Promise<LeastSquaresSolution<F>> {
  return LSMR.promised(op, options, b) as Promise<LeastSquaresSolution<F>>;
}
/** `lsmr` on the calling thread. */
export function lsmrSync<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: LeastSquaresOptions<Same<F>>,
): LeastSquaresSolution<F> {
  return LSMR.sync(op, options, b) as LeastSquaresSolution<F>;
}

const LSQR = leastSquaresSolver('lsqr');

/**
 * As `lsmr`, by conjugate gradients on the normal equations, which are not formed: in every step ‖b − A x‖ itself falls
 * (Paige & Saunders 1982, "LSQR: an algorithm for sparse linear equations and sparse least squares").
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when b or x0 do not fit, `ERR_DTYPE_MISMATCH`
 */
export async function lsqr<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: LeastSquaresOptions<Same<F>>,
): Promise<LeastSquaresSolution<F>> {
  return LSQR.promised(op, options, b) as Promise<LeastSquaresSolution<F>>;
}
/** `lsqr` on the calling thread. */
export function lsqrSync<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<Same<F>> | ResultArray<F>,
  options?: LeastSquaresOptions<Same<F>>,
): LeastSquaresSolution<F> {
  return LSQR.sync(op, options, b) as LeastSquaresSolution<F>;
}
