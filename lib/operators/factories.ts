/** The curvature operators of a model. Each copies what it needs: changing parameters or data later changes nothing. */

import { type ArrayKind, dtypeOf, type FloatArray } from '../arrays.ts';
import { checkOneOf, positive, wholeNumber } from '../check.ts';
import type { GroupOption, ProcessGroup } from '../distributed/process-group.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { toSeed } from '../model/generator.ts';
import type { Inputs } from '../model/inputs.ts';
import { type NamesOf, OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import type { CenterOptions, LossProblem, WeightOptions } from '../problem/loss.ts';
import type { Problem } from '../problem/problem.ts';
import { isStreamed, type StreamedProblem } from '../problem/streamed-problem.ts';
import { LINEARIZE_NAMES, Linearization, type LinearizeOptions } from '../products/linearize.ts';
import { type AnyStream, factory, type Source } from './factory.ts';
import type { KroneckerOperator } from './kronecker-operator.ts';
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
  /** The number of the first row among rows that several processes or operators share, by which they draw; 0 by default. */
  firstRow?: number;
}

/** Of `kfac` and `ekfac`. */
export interface KfacOptions extends LinearizeOptions, WeightOptions {
  /**
   * Whose blocks are approximated: those of `gaussNewton` (`'type2'`, the default), of `fisher` (`'mc'`, for many outputs) or
   * of `empiricalFisher` (`'empirical'`), without the problem's `l2` term, which is `damping` of the inverse. The first takes
   * a backward pass for each output of a row, the others for each sample and datum.
   */
  fisher?: 'type2' | 'mc' | 'empirical';
  /**
   * What becomes of positions that share a weight, as tokens, pixels and several uses do (Eschenhagen et al. 2023): each
   * counts as a datum of its own (`'expand'`, the default), or their mean input and the sum of their gradients do
   * (`'reduce'`, for outputs that average over the positions).
   */
  approximation?: 'expand' | 'reduce';
  /**
   * Parameters that are used otherwise than as weights and biases of linear, convolution and embedding layers, as scales of
   * norms are: refused (the default), or taken as the diagonal of the matrix itself (`'diagonal'`), or as its blocks, one
   * for each of these parameters (`'block'`).
   */
  others?: 'refuse' | 'diagonal' | 'block';
  /** Of `'mc'`: targets drawn for each datum; 1 by default. */
  mcSamples?: number;
  /** Of `'mc'`; 0 by default. */
  seed?: number | bigint;
  /** Of `'mc'` and `'empirical'`, as of `empiricalFisher`: what has an outer product of its own; `'datum'` by default. */
  per?: 'datum' | 'row';
}

const OPERATOR_NAMES: NamesOf<OperatorOptions> = { ...LINEARIZE_NAMES, weights: true };
const OPERATOR_OPTIONS = new OptionNames<OperatorOptions>(OPERATOR_NAMES);
const OPERATOR_TOGETHER = new OptionNames<OperatorOptions & GroupOption>({ ...OPERATOR_NAMES, group: true });
const CENTERED_NAMES: NamesOf<CenteredOperatorOptions> = { ...OPERATOR_NAMES, center: true };
const CENTERED_OPTIONS = new OptionNames<CenteredOperatorOptions>(CENTERED_NAMES);
const CENTERED_TOGETHER = new OptionNames<CenteredOperatorOptions & GroupOption>({
  ...CENTERED_NAMES,
  group: true,
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
  firstRow: true,
});

const KFAC_NAMES: NamesOf<KfacOptions> = {
  ...LINEARIZE_NAMES,
  weights: true,
  fisher: true,
  approximation: true,
  others: true,
  mcSamples: true,
  seed: true,
  per: true,
};
const KFAC_OPTIONS = new OptionNames<KfacOptions>(KFAC_NAMES);
const KFAC_TOGETHER = new OptionNames<KfacOptions & GroupOption>({ ...KFAC_NAMES, group: true });

function kfacFields({ fisher = 'type2', approximation = 'expand', others = 'refuse', ...rest }: KfacOptions) {
  checkOneOf(fisher, ['type2', 'mc', 'empirical'] as const, 'fisher');
  for (const name of ['mcSamples', 'seed'] as const) {
    if (rest[name] !== undefined && fisher !== 'mc') throw outOfRange(`${name} is for fisher: 'mc'`);
  }
  return {
    fisher,
    approximation: checkOneOf(approximation, ['expand', 'reduce'] as const, 'approximation'),
    others: checkOneOf(others, ['refuse', 'diagonal', 'block'] as const, 'others'),
    ...perFields(rest),
    ...sampling(rest),
  };
}

function perFields({ per = 'datum' }: Pick<EmpiricalFisherOptions, 'per'>) {
  return { per: checkOneOf(per, ['datum', 'row'] as const, 'per') };
}

function sampling({ mcSamples = 1, seed = 0 }: Pick<FisherOptions, 'mcSamples' | 'seed'>): {
  mcSamples: number;
  seed: bigint;
} {
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

const GRAMIAN_IMAGINARY = factory('gramianImaginary', CENTERED_OPTIONS);

/**
 * The imaginary part of the quantum geometric tensor whose real part is `gramian`, [P, P], for complex outputs as pairs: the
 * last axis of the outputs is (Re, Im), as `torch.view_as_real` gives it. With y = a + ib, Σ w (∂a ∂bᵀ − ∂b ∂aᵀ), of which
 * `center` makes Im Σ w (O − Ō)* (O − Ō)ᵀ, O = ∂y/∂θ: antisymmetric, −½ times the Berry curvature for w = 1/N (Stokes, Izaac,
 * Killoran & Carleo 2020, "Quantum natural gradient").
 */
export function gramianImaginary<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>> {
  return GRAMIAN_IMAGINARY.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `gramianImaginary` on the calling thread. */
export function gramianImaginarySync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return GRAMIAN_IMAGINARY.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}

const JACOBIAN = factory('jacobian', CENTERED_OPTIONS, undefined, CENTERED_TOGETHER);

/**
 * J, [N·outputs, P]: `matvec` is J v, `rmatvec` is Jᵀu. With `weights` w and `center`, √W (I − 1wᵀ/Σw) J, which makes
 * `gramian` of the same options its square. Of a stream, and with a `group`, vectors over the outputs are those of all rows.
 */
export function jacobian<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions & GroupOption,
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

/** Of `ntk`: also what it compares with, and how. */
export interface NtkOptions extends CenteredOperatorOptions {
  /** A second batch of inputs at the same parameters: J(x) J(x2)ᵀ, [N·outputs, M·outputs]. Without `weights` and `center`. */
  x2?: Inputs;
  /**
   * Sums over the outputs of a row: K_nm = Σ_o ⟨∂y_no/∂θ, ∂y_mo/∂θ⟩, [N, N] or [N, M]. Divided by the number of outputs it
   * is the empirical kernel of neural-tangents with its default `trace_axes`. A product takes one pair of J and Jᵀ for each output.
   */
  trace?: boolean;
}
const NTK_NAMES: NamesOf<NtkOptions> = { ...CENTERED_NAMES, x2: true, trace: true };
const NTK_OPTIONS = new OptionNames<NtkOptions>(NTK_NAMES);
const NTK_TOGETHER = new OptionNames<NtkOptions & GroupOption>({ ...NTK_NAMES, group: true });

function ntkFields({ x2, trace = false }: NtkOptions, source: Source | AnyStream, group?: ProcessGroup) {
  if (typeof trace !== 'boolean') throw wrongType('trace should be true or false');
  if (x2 === undefined && !trace) return {};
  if (group !== undefined) {
    if (x2 === undefined) return { trace };
    throw wrongType(
      'x2 is for the data of one process; of a group, take ' +
        '(await jacobian(problem, { group })).multiply((await jacobian({ model, params, x: x2 }, { group })).T)',
    );
  }
  if (isStreamed(source)) {
    throw wrongType(
      'x2 and trace are for data in one piece; of a stream, take ' +
        '(await jacobian(problem)).multiply((await jacobian({ model, params, x: x2 })).T)',
    );
  }
  return { trace, ...(x2 === undefined ? {} : { x2: otherInputs(source as Source, x2) }) };
}

const NTK = factory('ntk', NTK_OPTIONS, ntkFields, NTK_TOGETHER);

/** Inputs of a second batch, for the model and in the precision of the first. */
function otherInputs(source: Source, x2: Inputs) {
  if (Linearization.is(source)) return source.model.inputsOf(x2, source.dtype);
  const { model, params } = checkProblem(source);
  return model.inputsOf(x2, dtypeOf(model.toFlat(params, 'params')));
}

/**
 * A Aᵀ, [N·outputs, N·outputs], with A what `jacobian` gives for the same options: J Jᵀ, the tangent kernel (Jacot, Gabriel
 * & Hongler 2018), or with `x2` J(x) J(x2)ᵀ. Goes through a stream twice for each product.
 */
export function ntk<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: NtkOptions & GroupOption,
): Promise<LinearOperator<ArrayKind<F>>> {
  return NTK.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `ntk` on the calling thread. */
export function ntkSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: NtkOptions,
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

const FISHER = factory('fisher', FISHER_OPTIONS, ({ firstRow = 0, ...options }) => ({
  ...perFields(options),
  ...sampling(options),
  firstRow: wholeNumber(firstRow, 'firstRow', 0),
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

const KFAC = factory('kfac', KFAC_OPTIONS, kfacFields, KFAC_TOGETHER);

/**
 * Kronecker-factored approximate curvature, [P, P]: block-diagonal, with a block A ⊗ G for each linear, convolution and
 * embedding layer, where A is the mean of a aᵀ over its inputs a (with a 1 for the bias) and G the sum of g gᵀ over the
 * gradients by its outputs (Martens & Grosse 2015, "Optimizing neural networks with Kronecker-factored approximate
 * curvature"; of convolutions Grosse & Martens 2016). It has the scale of the operator that it approximates, and is
 * equal to it for one linear layer under squared errors. Layers are found by what the model computes, those of a `.pt2` file
 * like those of a list; groups of a convolution are blocks of their own. The rows of the batch have to be independent. An L2 term of
 * the problem is no part of it, as of Fisher matrices: `inverse({ damping })` and `logdet({ damping })` take λ. With a
 * `group`, whose ranks add their factors once, it is of all rows, and each rank has all of it.
 *
 * @throws TorchCurvatureError `ERR_UNSUPPORTED_OP` for parameters of no such layer, unless `others` says what to take for them
 */
export function kfac<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: KfacOptions & GroupOption,
): Promise<KroneckerOperator<ArrayKind<F>>> {
  return KFAC.promised(problem, options) as Promise<KroneckerOperator<ArrayKind<F>>>;
}
/** `kfac` on the calling thread. */
export function kfacSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: KfacOptions,
): KroneckerOperator<ArrayKind<F>> {
  return KFAC.sync(problem, options) as KroneckerOperator<ArrayKind<F>>;
}

const EKFAC = factory('ekfac', KFAC_OPTIONS, kfacFields, KFAC_TOGETHER);

/**
 * As `kfac`, with its eigenvectors Q and, instead of its eigenvalues, the diagonal of QᵀFQ with F the operator that is
 * approximated: of all matrices with these eigenvectors the nearest one in Frobenius norm (George et al. 2018, "Fast
 * approximate natural gradient descent in a Kronecker-factored eigenbasis"). Goes through the data twice.
 */
export function ekfac<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: KfacOptions & GroupOption,
): Promise<KroneckerOperator<ArrayKind<F>>> {
  return EKFAC.promised(problem, options) as Promise<KroneckerOperator<ArrayKind<F>>>;
}
/** `ekfac` on the calling thread. */
export function ekfacSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: KfacOptions,
): KroneckerOperator<ArrayKind<F>> {
  return EKFAC.sync(problem, options) as KroneckerOperator<ArrayKind<F>>;
}

const PER_SAMPLE_GRADIENTS = factory('perSampleGradients', OPERATOR_OPTIONS, undefined, OPERATOR_TOGETHER);

/**
 * The gradients of the rows, G of [N, P]: row n is the gradient of what row n of the data adds to the loss, so that Gᵀ1 is
 * the gradient of the loss. With `reduction: 'sum'` these are PyTorch's per-sample gradients, with `'mean'` 1/N of them (for one
 * term in each row). `matvec` gives the slope of each row's loss along a direction, `toDense` the gradients themselves;
 * `perSample` gives them some rows at a time.
 *
 * @throws TorchCurvatureError `ERR_UNSUPPORTED_OP` where the rows of the model depend on one another
 */
export function perSampleGradients<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions & GroupOption,
): Promise<LinearOperator<ArrayKind<F>>> {
  return PER_SAMPLE_GRADIENTS.promised(problem, options) as Promise<LinearOperator<ArrayKind<F>>>;
}
/** `perSampleGradients` on the calling thread. */
export function perSampleGradientsSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): LinearOperator<ArrayKind<F>> {
  return PER_SAMPLE_GRADIENTS.sync(problem, options) as LinearOperator<ArrayKind<F>>;
}
