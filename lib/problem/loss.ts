/** What curvature operators are made of: a problem with a loss, and weights of its rows. */
import type { DType, FloatArray, Tensor } from '../arrays.ts';
import { checkOneOf, checkTensor, checkVector } from '../check.ts';
import { wrongType } from '../errors.ts';
import type { Problem } from './problem.ts';

/** The losses of PyTorch that have a closed-form Hessian by the outputs. */
export const LOSSES = ['mse', 'cross_entropy', 'bce_with_logits'] as const;
/** Losses, with PyTorch's names and meanings: squared error, `CrossEntropyLoss` and `BCEWithLogitsLoss`. */
export type Loss = (typeof LOSSES)[number];

/**
 * A problem whose outputs are compared with targets. `Given` is inferred and need not be written: where the compiler knows of
 * the names only that they are strings (`const problem = { …, loss: 'mse' }`), they are checked when the problem is used.
 */
export interface LossProblem<F extends FloatArray = FloatArray, Given extends string = never>
  extends Problem<F> {
  /** Compares the outputs with `target`. */
  loss: string extends Given ? Given : Loss;
  /** As in PyTorch: the mean of all terms (the default), or their sum. */
  reduction?: string extends Given ? Given : 'mean' | 'sum';
  /**
   * What the outputs should be: of their shape and precision or, for `'cross_entropy'`, class numbers of [batch, …] as
   * an `Int32Array` or a `BigInt64Array`.
   */
  target: Tensor;
}

/** Used inside the package: one whose names are still to be checked. */
export type GivenLossProblem = LossProblem<FloatArray, string>;

export interface WeightOptions {
  /** Weights of the rows (samples), at least 0. */
  weights?: FloatArray;
}

export interface CenterOptions extends WeightOptions {
  /** Subtracts the weighted mean over the rows, as stochastic reconfiguration needs. */
  center?: boolean;
}

/** The part of the addon's request that describes the loss. */
export function lossFields(problem: GivenLossProblem, dtype: DType) {
  const { loss, reduction = 'mean', target } = problem;
  if (target === undefined)
    throw wrongType('problem.target should be a tensor, as the operator is that of a loss');
  return {
    loss: checkOneOf(loss, LOSSES, 'problem.loss'),
    reduction: checkOneOf(reduction, ['mean', 'sum'] as const, 'problem.reduction'),
    target: checkTensor(target, 'problem.target', dtype),
  };
}

/** The part of the addon's request that describes the weights. */
export function weightFields({ weights, center = false }: CenterOptions, rows: number, dtype: DType) {
  if (typeof center !== 'boolean') throw wrongType('center should be true or false');
  return {
    center,
    ...(weights === undefined ? {} : { weights: checkVector(weights, 'weights', rows, dtype) }),
  };
}
