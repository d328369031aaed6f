/** Inverses as operators: each product with one is a solution of a system. */

import { addon } from '../addon/addon.ts';
import type { RawSolverOption } from '../addon/operators.ts';
import { describe, type FloatArray, type Same } from '../arrays.ts';
import { positive } from '../check.ts';
import { wrongType } from '../errors.ts';
import { checkSquare, type LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { checkPositive, optionalAmount, optionalLimit } from './arguments.ts';
import { preconditionerOf } from './linear.ts';

/** Of `cgInverse` and `minresInverse`. */
export interface InverseOptions<F extends FloatArray = FloatArray> {
  /** On ‖b − A x‖ / ‖b‖ of each product; 1e-5 by default. */
  tolerance?: number;
  /** Steps for each product; ten times the number of unknowns by default. */
  maxIterations?: number;
  /** An approximation of A⁻¹, symmetric positive definite: an operator, or the diagonal of one. */
  preconditioner?: LinearOperator<F> | F;
  /**
   * Whether a product that does not reach the tolerance fails, which is the default; with `false` it is the iterate that was
   * reached, and the operator an approximation of no known quality, as for a preconditioner.
   */
  strict?: boolean;
}

const INVERSE_OPTIONS = new OptionNames<InverseOptions>({
  tolerance: true,
  maxIterations: true,
  preconditioner: true,
  strict: true,
});

function inverse<F extends FloatArray>(
  name: string,
  op: LinearOperator<F>,
  own: { [option: string]: RawSolverOption },
): LinearOperator<F> {
  return op.inverseBy(addon().operatorInverse({ inverse: name, operator: op.handle, ...own }));
}

function bySolver<F extends FloatArray>(
  name: string,
  op: LinearOperator<F>,
  options: InverseOptions<Same<F>> | undefined,
): LinearOperator<F> {
  const { tolerance, maxIterations, preconditioner, strict = true } = INVERSE_OPTIONS.read(options);
  checkSquare(op, name);
  if (typeof strict !== 'boolean') throw wrongType(`strict should be true or false, got ${describe(strict)}`);
  const own = {
    tolerance: optionalAmount(tolerance, 'tolerance'),
    maxIterations: optionalLimit(maxIterations, 'maxIterations'),
    strict,
  };
  const { handle, release } = preconditionerOf(op, preconditioner);
  try {
    return inverse(name, op, { ...own, preconditioner: handle });
  } finally {
    release();
  }
}

/**
 * A⁻¹ of a symmetric positive definite operator, by `cg` in each product: for influence functions, Laplace posteriors, natural
 * gradients. Products throw `ERR_NO_CONVERGENCE` where the solver does not reach its tolerance.
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square, `ERR_DTYPE_MISMATCH`
 */
export function cgInverse<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: InverseOptions<Same<F>>,
): LinearOperator<F> {
  return bySolver('cgInverse', op, options);
}

/** As `cgInverse`, of a symmetric operator that may be indefinite, by `minres`. */
export function minresInverse<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: InverseOptions<Same<F>>,
): LinearOperator<F> {
  return bySolver('minresInverse', op, options);
}

/** Of `neumannInverse`. */
export interface NeumannInverseOptions {
  /** How many; 100 by default. */
  terms?: number;
  /**
   * c, above 0 and below 2/λ of the largest eigenvalue; by default 1 over a bound of it that some Lanczos steps give before
   * the first product, for which A should be symmetric.
   */
  scale?: number;
}

const NEUMANN_OPTIONS = new OptionNames<NeumannInverseOptions>({ terms: true, scale: true });

/**
 * c Σ (I − c A)ⁱ over i < terms: A⁻¹ but for the factor I − (I − c A)^terms, which is near I on eigenvalues above 1/(c terms)
 * and near c terms A below, so that it also regularizes (Lorraine, Vicol & Duvenaud 2020, "Optimizing millions of
 * hyperparameters by implicit differentiation"). One product less than there are terms for each. Products throw
 * `ERR_NO_CONVERGENCE` where the series grows.
 *
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square
 */
export function neumannInverse<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: NeumannInverseOptions,
): LinearOperator<F> {
  const { terms = 100, scale } = NEUMANN_OPTIONS.read(options);
  checkSquare(op, 'neumannInverse');
  return inverse('neumannInverse', op, {
    terms: positive(terms, 'terms'),
    scale: scale === undefined ? undefined : checkPositive(scale, 'scale', op.dtype),
  });
}
