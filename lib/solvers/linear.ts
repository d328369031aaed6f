/** Solvers of A x = b. They run natively on the operator's device: no vector crosses into JavaScript on the way. */

import { types } from 'node:util';
import type { Operations } from '../addon/interface.ts';
import { run, runSync } from '../addon/run.ts';
import { type ArrayKind, describe, type FloatArray, type ResultArray } from '../arrays.ts';
import { checkVector, positive } from '../check.ts';
import { TorchCurvatureError, wrongType } from '../errors.ts';
import {
  checkOperator,
  diagonalOperator,
  type LinearOperator,
  type OperatorVector,
} from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { given, optionalAmount, optionalLimit, type SolverOptions, solverRequest } from './arguments.ts';
import type { SolverReason } from './reasons.ts';

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

const LINEAR_SOLVER_OPTIONS = new OptionNames<LinearSolverOptions>({
  tolerance: true,
  maxIterations: true,
  preconditioner: true,
  x0: true,
  k: true,
  onIteration: true,
  threads: true,
  signal: true,
});

/** What `onIteration` is told. */
export interface SolverProgress {
  /** From 1. */
  iteration: number;
  /** ‖b − A x‖, as the method carries it along. */
  residualNorm: number;
  /** Which right-hand side, from 0. */
  rightHandSide: number;
}

/** How one right-hand side ended. Not to converge is a result, no failure: x is the iterate that was reached. */
export interface SolverRecord {
  /** Steps of the method, one product with the operator each, as SciPy counts; products that check the residual are none. */
  iterations: number;
  /** ‖b − A x‖ of the x returned, by a product. */
  residualNorm: number;
  /** Whether the tolerance was reached. */
  converged: boolean;
  /** Why it ended. */
  reason: SolverReason;
  /** For people; empty when converged. */
  message: string;
}

/**
 * Over all right-hand sides: the most iterations, the largest residual, whether all converged, and the reason of the first
 * that did not.
 */
export interface LinearSolution<F extends FloatArray = FloatArray> extends SolverRecord {
  /** Flat, of the length of b; memory of its own. */
  x: ResultArray<F>;
  /** One for each right-hand side. */
  records: SolverRecord[];
}

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
  b: OperatorVector<ArrayKind<F>>,
  options?: LinearSolverOptions<ArrayKind<F>>,
): Promise<LinearSolution<F>> {
  return solve('cg', op, b, options);
}
/** `cg` on the calling thread. */
export function cgSync<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<ArrayKind<F>>,
  options?: LinearSolverOptions<ArrayKind<F>>,
): LinearSolution<F> {
  return solveSync('cg', op, b, options);
}

/**
 * The minimum-residual method, for a symmetric A, which may be indefinite or singular.
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square or b does not fit, `ERR_DTYPE_MISMATCH`
 * @throws RangeError when A is seen not to be symmetric
 */
export async function minres<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<ArrayKind<F>>,
  options?: LinearSolverOptions<ArrayKind<F>>,
): Promise<LinearSolution<F>> {
  return solve('minres', op, b, options);
}
/** `minres` on the calling thread. */
export function minresSync<F extends FloatArray>(
  op: LinearOperator<F>,
  b: OperatorVector<ArrayKind<F>>,
  options?: LinearSolverOptions<ArrayKind<F>>,
): LinearSolution<F> {
  return solveSync('minres', op, b, options);
}

async function solve<F extends FloatArray>(
  method: 'cg' | 'minres',
  op: LinearOperator<F>,
  b: OperatorVector,
  options: LinearSolverOptions | undefined,
): Promise<LinearSolution<F>> {
  const { request, signal, describe, release, heard } = linearRequest(method, op, b, options);
  try {
    const solution = await run(method, request, signal, describe);
    await heard();
    return summary(solution);
  } finally {
    release();
  }
}

function solveSync<F extends FloatArray>(
  method: 'cg' | 'minres',
  op: LinearOperator<F>,
  b: OperatorVector,
  options: LinearSolverOptions | undefined,
): LinearSolution<F> {
  const { request, signal, describe, release } = linearRequest(method, op, b, options);
  try {
    return summary(runSync(method, request, signal, describe));
  } finally {
    release();
  }
}

function linearRequest(
  method: string,
  op: LinearOperator,
  b: OperatorVector,
  options: LinearSolverOptions | undefined,
) {
  const { tolerance, maxIterations, preconditioner, x0, k, onIteration, ...how } =
    LINEAR_SOLVER_OPTIONS.read(options);
  const { request, ...rest } = solverRequest(method, op, how);
  const count = k === undefined ? 1 : positive(k, 'k');
  const length = count * op.shape[0];
  if (onIteration !== undefined && typeof onIteration !== 'function') {
    throw wrongType(`onIteration should be a function, got ${describe(onIteration)}`);
  }
  // Promises that onIteration gave: one that rejects is as good as a throw.
  let answers: Promise<unknown> | undefined;
  const heard = () => answers;
  // Checked first: what follows may make an operator that has to be disposed.
  const fields = {
    ...request,
    b: count === 1 ? op.rowVector(b, 'b') : checkVector(b, 'b', length, op.dtype),
    ...given({
      tolerance: optionalAmount(tolerance, 'tolerance'),
      maxIterations: optionalLimit(maxIterations, 'maxIterations'),
      x0: x0 === undefined ? undefined : checkVector(x0, 'x0', length, op.dtype),
      count: k === undefined ? undefined : count,
      onIteration:
        onIteration &&
        ((rightHandSide: number, iteration: number, residualNorm: number) => {
          const answer = onIteration({ iteration, residualNorm, rightHandSide });
          if (types.isPromise(answer)) {
            answers = Promise.all([answers, answer]);
            answers.catch(() => {}); // heard of at the end
          }
          return answer;
        }),
    }),
  };
  if (preconditioner === undefined) return { ...rest, request: fields, release: () => {}, heard };
  const owned = ArrayBuffer.isView(preconditioner)
    ? diagonalOperator(checkVector(preconditioner, 'preconditioner', op.shape[0], op.dtype), {
        device: op.device,
      })
    : undefined;
  const used = owned ?? preconditioner;
  checkOperator(used, 'preconditioner');
  if (used.dtype !== op.dtype) {
    throw new TorchCurvatureError(
      'ERR_DTYPE_MISMATCH',
      `preconditioner should be ${op.dtype} as the operator is, got ${used.dtype}`,
    );
  }
  return {
    ...rest,
    request: { ...fields, preconditioner: used.handle },
    release: () => owned?.dispose(),
    heard,
  };
}

/** Over right-hand sides of any number, at least one. */
export function summary<F extends FloatArray>({ x, records }: Operations['cg']['result']): LinearSolution<F> {
  const worst = records.find(({ converged }) => !converged) ?? records[0]!;
  return {
    x: x as ResultArray<F>,
    iterations: records.reduce((most, { iterations }) => Math.max(most, iterations), 0),
    residualNorm: records.reduce((most, { residualNorm }) => Math.max(most, residualNorm), 0),
    converged: worst.converged,
    reason: worst.reason,
    message: worst.message,
    records,
  };
}
