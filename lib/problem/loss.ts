/** What curvature operators are made of: a problem with a loss, and weights of its rows. */
import type { DType, FloatArray, Tensor } from '../arrays.ts';
import { checkOneOf, checkVector } from '../check.ts';
import { wrongType } from '../errors.ts';
import type { Model } from '../model/model.ts';
import { type L2Term, l2Vector } from './l2.ts';
import { checkTarget, type Loss, type LossModel, type LossWithOptions, readLoss } from './losses.ts';
import type { Problem } from './problem.ts';

/** A loss by its name, with or without options. */
type GivenLoss<Given extends string> =
  | Model
  | LossModel
  | (string extends Given
      ? Given | { name: Given; readonly [option: string]: unknown }
      : Loss | LossWithOptions);

/**
 * A problem whose outputs are compared with targets. `Given` is inferred and need not be written: where the compiler knows of
 * the names only that they are strings (`const problem = { …, loss: 'mse' }`), they are checked when the problem is used.
 */
export interface LossProblem<F extends FloatArray = FloatArray, Given extends string = never>
  extends Problem<F> {
  /**
   * Compares the outputs with `target`: a name, or `{ name, …options }` with PyTorch's options in camel case; or a model
   * that maps the outputs and the target to the loss of each row. `'output'` where the outputs are those losses.
   */
  loss: GivenLoss<Given>;
  /**
   * As in PyTorch: the mean of all terms (the default), or their sum. The mean of `'cross_entropy'` with a `weight` of the
   * classes divides by the sum of the targets' weights.
   */
  reduction?: string extends Given ? Given : 'mean' | 'sum';
  /**
   * What the outputs should be: of their shape and precision or, for `'cross_entropy'`, class numbers of [batch, …] as
   * an `Int32Array` or a `BigInt64Array`. For a loss that is a model, a tensor with an axis of rows in the kind of array that
   * its second input takes, a `Uint8Array` for `bool` and `uint8`; none for `'output'`.
   */
  target?: Tensor;
  /**
   * Adds ½ λ Σ θ² over all parameters, or over those whose names match patterns: `1e-4`, or
   * `{ weight: 1e-4, parameters: '*.weight' }`, or a list of such terms, which add up. It is part of the loss, its gradient, `hessian` and `gaussNewton`; Fisher
   * matrices are of the targets' distribution, which it does not change (`damp` adds λ I to them).
   */
  l2?: number | L2Term | readonly L2Term[];
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

/** What there is in the place of other reductions of PyTorch's. */
const REDUCTIONS: Readonly<Record<string, string>> = {
  none: 'perSampleLosses and perSampleGradients give each row by itself',
  batchmean: "it is 'sum' by the number of rows: op.scale(1 / rows)",
};

const insteadOf = (reduction: string) =>
  Object.hasOwn(REDUCTIONS, reduction) ? REDUCTIONS[reduction] : undefined;

/** What of the loss is known before there are targets. */
export function lossItself({ loss, reduction = 'mean', l2, model }: GivenLossProblem, dtype: DType) {
  return {
    ...readLoss(loss, dtype),
    reduction: checkOneOf(reduction, ['mean', 'sum'] as const, 'problem.reduction', insteadOf),
    ...(l2 === undefined ? {} : { l2: l2Vector(l2, model, dtype) }),
  };
}

/** The part of the addon's request that describes the loss. */
export function lossFields(problem: GivenLossProblem, dtype: DType) {
  const { target } = problem;
  const which = lossItself(problem, dtype);
  // Of a model's inputs, native code knows how many there are.
  if (target === undefined && 'loss' in which && which.loss !== 'output')
    throw wrongType('problem.target should be a tensor, as the operator is that of a loss');
  return {
    ...which,
    ...(target === undefined ? {} : { target: checkTarget(target, problem.loss, dtype) }),
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
