/** The curvature operators of a model. Each copies what it needs: changing parameters or data later changes nothing. */

import { addon } from '../addon/addon.ts';
import type { Operations } from '../addon/interface.ts';
import type { OperatorHandle } from '../addon/requests.ts';
import { run, runSync } from '../addon/run.ts';
import { type ArrayKind, type FloatArray, floatArray, type ResultArray } from '../arrays.ts';
import { checkOneOf, checkOptions, positive } from '../check.ts';
import { outOfRange } from '../errors.ts';
import { toSeed } from '../model/generator.ts';
import type { Model } from '../model/model.ts';
import { type NamesOf, OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import {
  type CenterOptions,
  type GivenLossProblem,
  type LossProblem,
  lossFields,
  type WeightOptions,
  weightFields,
} from '../problem/loss.ts';
import type { Problem } from '../problem/problem.ts';
import { type GivenStreamedProblem, isStreamed, type StreamedProblem } from '../problem/streamed-problem.ts';
import {
  LINEARIZE_NAMES,
  Linearization,
  type LinearizeOptions,
  linearizeRequest,
} from '../products/linearize.ts';
import { LinearOperator, type OperatorKind, type Space } from './linear-operator.ts';
import { type BatchProblem, type Counts, Stream } from './streamed.ts';

/** Of operators over outputs or a loss: how to linearize, and weights of the rows. */
export type OperatorOptions = LinearizeOptions & WeightOptions;
/** As `OperatorOptions`, for operators that may also be centered over the rows. */
export type CenteredOperatorOptions = LinearizeOptions & CenterOptions;

/** Of `empiricalFisher`: also what its outer products are of. */
export interface EmpiricalFisherOptions extends LinearizeOptions, CenterOptions {
  /**
   * What has an outer product of its own: each datum, as in curvlinops (`'datum'`, the default; for `'cross_entropy'` a
   * token or pixel, that is a target; for `'mse'` and `'bce_with_logits'` the vector along the last axis of the outputs),
   * or each row of the batch (`'row'`). The same for outputs of [batch, outputs].
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

/**
 * JᵀJ, [P, P]. With `weights` w and `center`, Jᵀ W (I − 1wᵀ/Σw) J: with w = 1/N the quantum geometric tensor of
 * stochastic reconfiguration. Takes a problem, whose data may be a stream, or a linearization, which it then shares.
 */
export function gramian<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function gramian(
  problem: Problem | GivenStreamedProblem | Linearization,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTERED_OPTIONS.read(options);
  if (isStreamed(problem)) {
    const stream = await new Stream(problem, given).count();
    const make = (batch: BatchProblem, extra: object = {}) =>
      create(ofModel('gramian', batch.problem, batch.options, extra));
    return isCentered(given)
      ? stream.centredSum('gramian', (batch, part) => make(batch, { part }))
      : stream.sum('gramian', (batch) => make(batch));
  }
  return create(ofModel('gramian', problem, given));
}
/** `gramian` on the calling thread. */
export function gramianSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>>;
export function gramianSync(
  problem: Problem | Linearization,
  options?: CenteredOperatorOptions,
): LinearOperator {
  const given = CENTERED_OPTIONS.read(options);
  return createSync(ofModel('gramian', problem, given));
}

/**
 * J, [N·outputs, P]: `matvec` is J v, `rmatvec` is Jᵀu. With `weights` w and `center`, √W (I − 1wᵀ/Σw) J, which makes
 * `gramian` of the same options its square. Of a stream, vectors over the outputs are those of all rows.
 */
export function jacobian<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function jacobian(
  problem: Problem | GivenStreamedProblem | Linearization,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTERED_OPTIONS.read(options);
  if (isStreamed(problem)) {
    const stream = await new Stream(problem, given).count();
    return stream.jacobian(ofBatch, isCentered(given));
  }
  return create(ofModel('jacobian', problem, given));
}
/** `jacobian` on the calling thread. */
export function jacobianSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>>;
export function jacobianSync(
  problem: Problem | Linearization,
  options?: CenteredOperatorOptions,
): LinearOperator {
  const given = CENTERED_OPTIONS.read(options);
  return createSync(ofModel('jacobian', problem, given));
}

/**
 * A Aᵀ, [N·outputs, N·outputs], with A what `jacobian` gives for the same options: J Jᵀ, the tangent kernel. Goes through
 * a stream twice for each product.
 */
export function ntk<F extends FloatArray>(
  problem: Problem<F> | StreamedProblem<F, string> | Linearization<F>,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function ntk(
  problem: Problem | GivenStreamedProblem | Linearization,
  options?: CenteredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTERED_OPTIONS.read(options);
  if (isStreamed(problem)) {
    const stream = await new Stream(problem, given).count();
    return stream.ntk(ofBatch, isCentered(given));
  }
  return create(ofModel('ntk', problem, given));
}
/** `ntk` on the calling thread. */
export function ntkSync<F extends FloatArray>(
  problem: Problem<F> | Linearization<F>,
  options?: CenteredOperatorOptions,
): LinearOperator<ArrayKind<F>>;
export function ntkSync(problem: Problem | Linearization, options?: CenteredOperatorOptions): LinearOperator {
  const given = CENTERED_OPTIONS.read(options);
  return createSync(ofModel('ntk', problem, given));
}

/** The Hessian of the loss by the parameters, [P, P]. */
export function hessian<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function hessian(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: OperatorOptions,
): Promise<LinearOperator> {
  const given = OPERATOR_OPTIONS.read(options);
  if (isStreamed(problem)) return ofStream('hessian', problem, given);
  return create(ofLoss('hessian', problem, given));
}
/** `hessian` on the calling thread. */
export function hessianSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): LinearOperator<ArrayKind<F>>;
export function hessianSync(problem: GivenLossProblem, options?: OperatorOptions): LinearOperator {
  const given = OPERATOR_OPTIONS.read(options);
  return createSync(ofLoss('hessian', problem, given));
}

/** Jᵀ H J with H the Hessian of the loss by the outputs, [P, P]. */
export function gaussNewton<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function gaussNewton(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: OperatorOptions,
): Promise<LinearOperator> {
  const given = OPERATOR_OPTIONS.read(options);
  if (isStreamed(problem)) return ofStream('gaussNewton', problem, given);
  return create(ofLoss('gaussNewton', problem, given));
}
/** `gaussNewton` on the calling thread. */
export function gaussNewtonSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): LinearOperator<ArrayKind<F>>;
export function gaussNewtonSync(problem: GivenLossProblem, options?: OperatorOptions): LinearOperator {
  const given = OPERATOR_OPTIONS.read(options);
  return createSync(ofLoss('gaussNewton', problem, given));
}

/**
 * The empirical Fisher matrix c Σ g gᵀ, [P, P], where the loss is c Σ ℓ over its terms (c = 1 for `reduction: 'sum'`, what
 * PyTorch divides by for `'mean'`) and g the gradient of the sum of ℓ over one datum, or over one row (`per`). It has the
 * scale of `gaussNewton`, which is its average over targets that are drawn from the distribution the model predicts.
 * `center` subtracts the mean of g over the data.
 */
export function empiricalFisher<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: EmpiricalFisherOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function empiricalFisher(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: EmpiricalFisherOptions,
): Promise<LinearOperator> {
  const given = EMPIRICAL_FISHER_OPTIONS.read(options);
  const per = perFields(given);
  if (isStreamed(problem)) return ofStream('empiricalFisher', problem, given, per);
  return create(ofLoss('empiricalFisher', problem, given, per));
}
/** `empiricalFisher` on the calling thread. */
export function empiricalFisherSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: EmpiricalFisherOptions,
): LinearOperator<ArrayKind<F>>;
export function empiricalFisherSync(
  problem: GivenLossProblem,
  options?: EmpiricalFisherOptions,
): LinearOperator {
  const given = EMPIRICAL_FISHER_OPTIONS.read(options);
  return createSync(ofLoss('empiricalFisher', problem, given, perFields(given)));
}

/**
 * The Fisher matrix by Monte Carlo, [P, P]: as `empiricalFisher`, with targets drawn from the distribution that the
 * model itself predicts. Its expectation is `gaussNewton`. The target of the problem gives only its shape, and which
 * terms are ignored. The draws of a row depend on the seed and the number of the row alone, not on chunks and batches.
 */
export function fisher<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: FisherOptions,
): Promise<LinearOperator<ArrayKind<F>>>;
export async function fisher(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: FisherOptions,
): Promise<LinearOperator> {
  const given = FISHER_OPTIONS.read(options);
  const extra = { ...perFields(given), ...sampling(given) };
  if (isStreamed(problem)) return ofStream('fisher', problem, given, extra);
  return create(ofLoss('fisher', problem, given, extra));
}
/** `fisher` on the calling thread. */
export function fisherSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: FisherOptions,
): LinearOperator<ArrayKind<F>>;
export function fisherSync(problem: GivenLossProblem, options?: FisherOptions): LinearOperator {
  const given = FISHER_OPTIONS.read(options);
  return createSync(ofLoss('fisher', problem, given, { ...perFields(given), ...sampling(given) }));
}

/**
 * The loss at the parameters, and its gradient by them (flat, P). As in PyTorch, the mean of no terms at all is NaN, and
 * its derivatives are 0.
 */
export function lossAndGradient<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<{ loss: number; gradient: ResultArray<F> }>;
export async function lossAndGradient(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: OperatorOptions,
): Promise<{ loss: number; gradient: ResultArray<FloatArray> }> {
  const given = OPERATOR_OPTIONS.read(options);
  if (isStreamed(problem)) return streamedGradient(problem, given);
  const { request, signal, describe } = lossRequest(problem, given);
  const { loss, gradient } = await run('lossGradient', request, signal, describe);
  return { loss, gradient };
}
/** `lossAndGradient` on the calling thread. */
export function lossAndGradientSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): { loss: number; gradient: ResultArray<F> };
export function lossAndGradientSync(
  problem: GivenLossProblem,
  options?: OperatorOptions,
): { loss: number; gradient: ResultArray<FloatArray> } {
  const given = OPERATOR_OPTIONS.read(options);
  const { request, signal, describe } = lossRequest(problem, given);
  const { loss, gradient } = runSync('lossGradient', request, signal, describe);
  return { loss, gradient };
}

/** √W J of a batch. */
const ofBatch = ({ problem, options }: BatchProblem) => create(ofModel('jacobian', problem, options));

function isCentered(options: CenterOptions): boolean {
  return weightFields({ ...(options.center !== undefined && { center: options.center }) }, 0, 'float64')
    .center;
}

/** The operator of a loss over a stream. */
async function ofStream(
  kind: LossKind,
  problem: GivenStreamedProblem,
  options: CenteredOperatorOptions,
  extra: object = {},
): Promise<LinearOperator> {
  const centered = isCentered(options);
  if (centered && (kind === 'hessian' || kind === 'gaussNewton')) {
    throw outOfRange(`center is for gramian, jacobian, ntk and the Fisher matrices, not for ${kind}`);
  }
  const stream = await new Stream(problem, options).count((batch, signal) => counted(batch, signal, extra));
  const make = ({ problem, options, firstRow }: BatchProblem, part: object = {}) =>
    create(ofLoss(kind, problem, options, { ...extra, ...part, firstRow }));
  return centered
    ? stream.centredSum(kind, (batch, part) => make(batch, { part }))
    : stream.sum(kind, (batch) => make(batch));
}

/** What a batch's loss has: the same count that a problem in one piece divides its mean by. */
async function counted(
  { problem, options }: BatchProblem,
  signal: AbortSignal | undefined,
  extra: object,
): Promise<Counts> {
  const { request, describe } = lossRequest(problem, options);
  return run('lossCounts', { ...request, ...extra }, signal, describe);
}

async function streamedGradient(problem: GivenStreamedProblem, options: OperatorOptions) {
  const stream = new Stream(problem, options);
  const sum = new Float64Array(stream.model.parameterCount);
  let [loss, terms] = [0, 0];
  const { signal } = checkOptions(options);
  for await (const { problem, options: how, rows } of stream.pass(signal)) {
    if (rows === 0) continue;
    const { request, describe } = lossRequest(problem, how);
    const part = await run('lossGradient', request, signal, describe);
    loss += part.loss;
    for (let i = 0; i < sum.length; i++) sum[i]! += part.gradient[i]!;
    terms += part.terms;
  }
  const isSum = problem.reduction === 'sum';
  const share = isSum ? 1 : terms > 0 ? 1 / terms : 0;
  const gradient = floatArray(stream.dtype, sum.length);
  gradient.set(sum.map((each) => each * share));
  return { loss: isSum ? loss : loss / terms, gradient };
}

/** A space, or one of outputs, whose shape is known once the model has run. */
type SpaceOf = Space | ((outputShape: readonly number[]) => Space);

interface Recipe {
  request: Operations['createOperator']['request'];
  signal: AbortSignal | undefined;
  describe: () => object;
  rows: SpaceOf;
  columns: SpaceOf;
}

async function create({ request, signal, describe, rows, columns }: Recipe): Promise<LinearOperator> {
  return wrapped(await run('createOperator', request, signal, describe), request.kind, rows, columns);
}

function createSync({ request, signal, describe, rows, columns }: Recipe): LinearOperator {
  return wrapped(runSync('createOperator', request, signal, describe), request.kind, rows, columns);
}

function wrapped(
  handle: OperatorHandle,
  kind: OperatorKind,
  rows: SpaceOf,
  columns: SpaceOf,
): LinearOperator {
  const { outputShape } = addon().operatorInfo(handle);
  const known = (space: SpaceOf) => (typeof space === 'function' ? space(outputShape) : space);
  return new LinearOperator(handle, kind, known(rows), known(columns));
}

type ModelKind = 'gramian' | 'jacobian' | 'ntk';

function ofModel(
  kind: ModelKind,
  problem: Problem | Linearization,
  options: CenteredOperatorOptions,
  extra: object = {},
): Recipe {
  if (Linearization.is(problem)) {
    const { threads, chunkSize, signal } = checkOptions(options);
    const { outputShape, dtype, device, model, parameterCount } = problem;
    const weights = weightFields(options, outputShape[0]!, dtype);
    const request = { kind, linearization: problem.handle, threads, chunkSize, ...weights };
    const describe = () => ({ kind, device, dtype, parameterCount, batch: outputShape[0]! });
    return { request, signal, describe, ...spaces(kind, model) };
  }
  const { request, dtype, batch, signal, describe, model } = linearizeRequest(checkProblem(problem), options);
  const weights = weightFields(options, batch, dtype);
  return {
    request: { kind, ...request, ...weights, ...extra },
    signal,
    describe: () => ({ kind, ...describe() }),
    ...spaces(kind, model),
  };
}

function spaces(kind: ModelKind, model: Model): { rows: SpaceOf; columns: SpaceOf } {
  const parameters: Space = { kind: 'parameters', model };
  const outputs: SpaceOf = (shape) => ({ kind: 'outputs', shape });
  return { rows: kind === 'gramian' ? parameters : outputs, columns: kind === 'ntk' ? outputs : parameters };
}

type LossKind = 'hessian' | 'gaussNewton' | 'empiricalFisher' | 'fisher';

function ofLoss(
  kind: LossKind,
  problem: GivenLossProblem,
  options: CenteredOperatorOptions,
  extra: object = {},
): Recipe {
  const { request, signal, describe, model } = lossRequest(problem, options);
  const space: Space = { kind: 'parameters', model };
  return {
    request: { kind, ...request, ...extra },
    signal,
    describe: () => ({ kind, ...describe() }),
    rows: space,
    columns: space,
  };
}

function lossRequest(problem: GivenLossProblem, options: CenteredOperatorOptions) {
  const given = checkProblem(problem);
  const { request, dtype, batch, signal, describe, model } = linearizeRequest(given, options);
  const fields = { ...lossFields(given, dtype), ...weightFields(options, batch, dtype) };
  return { request: { ...request, ...fields }, signal, describe, model };
}

function perFields({ per = 'datum' }: EmpiricalFisherOptions) {
  return { per: checkOneOf(per, ['datum', 'row'] as const, 'per') };
}

function sampling({ mcSamples = 1, seed = 0 }: FisherOptions): { mcSamples: number; seed: bigint } {
  return { mcSamples: positive(mcSamples, 'mcSamples'), seed: toSeed(seed) };
}
