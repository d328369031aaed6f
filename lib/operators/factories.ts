/** The curvature operators of a model. Each copies what it needs: changing parameters or data later changes nothing. */

import type { ArrayKind, FloatArray } from '../arrays.ts';
import { checkOneOf, positive } from '../check.ts';
import { toSeed } from '../model/generator.ts';
import { type NamesOf, OptionNames } from '../options.ts';
import type { CenterOptions, LossProblem, WeightOptions } from '../problem/loss.ts';
import type { Problem } from '../problem/problem.ts';
import type { StreamedProblem } from '../problem/streamed-problem.ts';
import { LINEARIZE_NAMES, type Linearization, type LinearizeOptions } from '../products/linearize.ts';
import { factory } from './factory.ts';
import type { LinearOperator } from './linear-operator.ts';

/** Of operators over outputs or a loss: how to linearize, and weights of the rows. */
export type OperatorOptions = LinearizeOptions & WeightOptions;
/** As `OperatorOptions`, for operators that may also be centered over the rows. */
export type CenteredOperatorOptions = LinearizeOptions & CenterOptions;

/** Of `empiricalFisher`: also what its outer products are of. */
export interface EmpiricalFisherOptions extends LinearizeOptions, CenterOptions {
  /**
   * What has an outer product of its own: each datum, as in curvlinops (`'datum'`, the default; for `'cross_entropy'` a
   * token or pixel, that is a target; for the other losses the vector along the last axis of the outputs), or each row of
   * the batch (`'row'`). The same for outputs of [batch, outputs].
   */
  per?: 'datum' | 'row';
}

/** Of `fisher`: also how its targets are drawn. */
export interface FisherOptions extends EmpiricalFisherOptions {
  /** Targets drawn for each datum; 1 by default. */
  mcSamples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const OPERATOR_OPTIONS = new OptionNames<OperatorOptions>({ ...LINEARIZE_NAMES, weights: true });
const CENTERED_OPTIONS = new OptionNames<CenteredOperatorOptions>({
  ...LINEARIZE_NAMES,
  weights: true,
  center: true,
});
const EMPIRICAL_FISHER_NAMES: NamesOf<EmpiricalFisherOptions> = {
  ...LINEARIZE_NAMES,
  weights: true,
  center: true,
  per: true,
};
const EMPIRICAL_FISHER_OPTIONS = new OptionNames<EmpiricalFisherOptions>(EMPIRICAL_FISHER_NAMES);
const FISHER_OPTIONS = new OptionNames<FisherOptions>({
  ...EMPIRICAL_FISHER_NAMES,
  mcSamples: true,
  seed: true,
});

function perFields({ per = 'datum' }: EmpiricalFisherOptions) {
  return { per: checkOneOf(per, ['datum', 'row'] as const, 'per') };
}

function sampling({ mcSamples = 1, seed = 0 }: FisherOptions): { mcSamples: number; seed: bigint } {
  return { mcSamples: positive(mcSamples, 'mcSamples'), seed: toSeed(seed) };
}

const GRAMIAN = factory('gramian', CENTERED_OPTIONS);

/**
 * JᵀJ, [P, P]. With `weights` w and `center`, Jᵀ W (I − 1wᵀ/Σw) J: with w = 1/N the quantum geometric tensor of
 * stochastic reconfiguration. Takes a problem, whose data may be a stream, or a linearization, which it then shares.
 */
export function gramian<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return GRAMIAN.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `gramian` on the calling thread. */
export function gramianSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return GRAMIAN.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const JACOBIAN = factory('jacobian', CENTERED_OPTIONS);

/**
 * J, [N·outputs, P]: `matvec` is J v, `rmatvec` is Jᵀu. With `weights` w and `center`, √W (I − 1wᵀ/Σw) J, which makes
 * `gramian` of the same options its square. Of a stream, vectors over the outputs are those of all rows.
 */
export function jacobian<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return JACOBIAN.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `jacobian` on the calling thread. */
export function jacobianSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return JACOBIAN.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const NTK = factory('ntk', CENTERED_OPTIONS);

/**
 * A Aᵀ, [N·outputs, N·outputs], with A what `jacobian` gives for the same options: J Jᵀ, the tangent kernel. Goes through
 * a stream twice for each product.
 */
export function ntk<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return NTK.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `ntk` on the calling thread. */
export function ntkSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return NTK.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const HESSIAN = factory('hessian', OPERATOR_OPTIONS);

/** The Hessian of the loss by the parameters, [P, P], with that of the problem's `l2`. */
export function hessian<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return HESSIAN.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `hessian` on the calling thread. */
export function hessianSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return HESSIAN.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const GAUSS_NEWTON = factory('gaussNewton', OPERATOR_OPTIONS);

/** Jᵀ H J with H the Hessian of the loss by the outputs, [P, P], and the Hessian of the problem's `l2`. */
export function gaussNewton<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return GAUSS_NEWTON.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `gaussNewton` on the calling thread. */
export function gaussNewtonSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return GAUSS_NEWTON.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const EMPIRICAL_FISHER = factory('empiricalFisher', EMPIRICAL_FISHER_OPTIONS, perFields);

/**
 * The empirical Fisher matrix c Σ g gᵀ, [P, P], where the loss is c Σ ℓ over its terms (c = 1 for `reduction: 'sum'`, what
 * PyTorch divides by for `'mean'`) and g the gradient of the sum of ℓ over one datum, or over one row (`per`). It has the
 * scale of `gaussNewton`, which is its average over targets that are drawn from the distribution the model predicts.
 * `center` subtracts the mean of g over the data.
 */
export function empiricalFisher<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: EmpiricalFisherOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return EMPIRICAL_FISHER.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `empiricalFisher` on the calling thread. */
export function empiricalFisherSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: EmpiricalFisherOptions,
): LinearOperator<ArrayKind<F>> {
  return EMPIRICAL_FISHER.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const FISHER = factory('fisher', FISHER_OPTIONS, (options) => ({
  ...perFields(options),
  ...sampling(options),
}));

/**
 * The Fisher matrix by Monte Carlo, [P, P]: as `empiricalFisher`, with targets drawn from the distribution that the
 * model itself predicts. Its expectation is `gaussNewton`, averaged over such targets where that depends on them. The
 * target of the problem gives only its shape, which terms are ignored, and their weights where the loss has such options.
 * A loss that is no negative log-likelihood of a known distribution (`'huber'`, `'l1'`, `'kl_div'`) is refused. The draws of a row depend on the seed and the number of the row alone, not on chunks and batches.
 */
export function fisher<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: FisherOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return FISHER.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `fisher` on the calling thread. */
export function fisherSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: FisherOptions,
): LinearOperator<ArrayKind<F>> {
  return FISHER.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}
