/** The curvature operators of a model. Each copies what it needs: changing parameters or data later changes nothing. */
import { dtypeOf, type FloatArray, floatArray } from '../arrays.ts';
import { checkOptions, positive } from '../check.ts';
import { outOfRange } from '../errors.ts';
import { toSeed } from '../generator.ts';
import { LINEARIZE_NAMES, Linearization, type LinearizeOptions, linearizeRequest } from '../linearize.ts';
import type { Model } from '../models.ts';
import type { Operations } from '../native.ts';
import { OptionNames } from '../options.ts';
import { checkProblem, type Problem } from '../products.ts';
import { run, runSync } from '../run.ts';
import { LinearOperator, type Space } from './linear-operator.ts';
import {
  type CenterOptions,
  type LossProblem,
  lossFields,
  type WeightOptions,
  weightFields,
} from './problem.ts';

import {
  type Batch,
  batchesOf,
  type CountOf,
  isStreamed,
  readStreamed,
  rowsOf,
  type StreamedProblem,
  streamedOperator,
  termsOf,
} from './streamed.ts';

/** Of operators over outputs or a loss: how to linearise, and weights of the rows. */
export type OperatorOptions = LinearizeOptions & WeightOptions;
/** As `OperatorOptions`, for operators that may also be centred over the rows. */
export type CentredOperatorOptions = LinearizeOptions & CenterOptions;

/** Of `fisher`: how its targets are drawn. */
export interface FisherOptions extends LinearizeOptions, CenterOptions {
  /** Targets drawn for each row; 1 by default. */
  mcSamples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const OPERATOR_OPTIONS = new OptionNames<OperatorOptions>({ ...LINEARIZE_NAMES, weights: true });
const CENTRED_OPTIONS = new OptionNames<CentredOperatorOptions>({
  ...LINEARIZE_NAMES,
  weights: true,
  center: true,
});
const FISHER_OPTIONS = new OptionNames<FisherOptions>({
  ...LINEARIZE_NAMES,
  weights: true,
  center: true,
  mcSamples: true,
  seed: true,
});

/**
 * JᵀJ, [P, P]. With `weights` w and `center`, Jᵀ W (I − 1wᵀ/Σw) J: with w = 1/N the quantum geometric tensor of
 * stochastic reconfiguration. Takes a problem, or a linearisation, which it then shares.
 */
export async function gramian(
  problem: Problem | StreamedProblem | Linearization,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTRED_OPTIONS.read(options);
  if (isStreamed(problem)) return ofStream(problem, given, undefined, (each) => gramian(each, given));
  return create(ofModel('gramian', problem, given));
}
/** `gramian` on the calling thread. */
export function gramianSync(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): LinearOperator {
  const given = CENTRED_OPTIONS.read(options);
  return createSync(ofModel('gramian', problem, given));
}

/**
 * J, [N·outputs, P]: `matvec` is J v, `rmatvec` is Jᵀu. With `weights` w and `center`, √W (I − 1wᵀ/Σw) J, which makes
 * `gramian` of the same options its square.
 */
export async function jacobian(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTRED_OPTIONS.read(options);
  return create(ofModel('jacobian', problem, given));
}
/** `jacobian` on the calling thread. */
export function jacobianSync(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): LinearOperator {
  const given = CENTRED_OPTIONS.read(options);
  return createSync(ofModel('jacobian', problem, given));
}

/** A Aᵀ, [N·outputs, N·outputs], with A what `jacobian` gives for the same options: J Jᵀ, the tangent kernel. */
export async function ntk(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTRED_OPTIONS.read(options);
  return create(ofModel('ntk', problem, given));
}
/** `ntk` on the calling thread. */
export function ntkSync(problem: Problem | Linearization, options?: CentredOperatorOptions): LinearOperator {
  const given = CENTRED_OPTIONS.read(options);
  return createSync(ofModel('ntk', problem, given));
}

/** The Hessian of the loss by the parameters, [P, P]. */
export async function hessian(
  problem: LossProblem | StreamedProblem,
  options?: OperatorOptions,
): Promise<LinearOperator> {
  const given = OPERATOR_OPTIONS.read(options);
  if (isStreamed(problem)) return ofStream(problem, given, termsOf, (each) => hessian(each, given));
  return create(ofLoss('hessian', problem, given));
}
/** `hessian` on the calling thread. */
export function hessianSync(problem: LossProblem, options?: OperatorOptions): LinearOperator {
  const given = OPERATOR_OPTIONS.read(options);
  return createSync(ofLoss('hessian', problem, given));
}

/** Jᵀ H J with H the Hessian of the loss by the outputs, [P, P]. */
export async function gaussNewton(
  problem: LossProblem | StreamedProblem,
  options?: OperatorOptions,
): Promise<LinearOperator> {
  const given = OPERATOR_OPTIONS.read(options);
  if (isStreamed(problem)) return ofStream(problem, given, termsOf, (each) => gaussNewton(each, given));
  return create(ofLoss('gaussNewton', problem, given));
}
/** `gaussNewton` on the calling thread. */
export function gaussNewtonSync(problem: LossProblem, options?: OperatorOptions): LinearOperator {
  const given = OPERATOR_OPTIONS.read(options);
  return createSync(ofLoss('gaussNewton', problem, given));
}

/** The mean over rows (or, for `reduction: 'sum'`, the sum) of g gᵀ with g the gradient of a row's own loss, [P, P]. */
export async function empiricalFisher(
  problem: LossProblem | StreamedProblem,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  const given = CENTRED_OPTIONS.read(options);
  if (isStreamed(problem)) return ofStream(problem, given, rowsOf, (each) => empiricalFisher(each, given));
  return create(ofLoss('empiricalFisher', problem, given));
}
/** `empiricalFisher` on the calling thread. */
export function empiricalFisherSync(problem: LossProblem, options?: CentredOperatorOptions): LinearOperator {
  const given = CENTRED_OPTIONS.read(options);
  return createSync(ofLoss('empiricalFisher', problem, given));
}

/**
 * The Fisher matrix by Monte Carlo, [P, P]: as `empiricalFisher`, with targets drawn from the distribution that the
 * model itself predicts. Its expectation is `gaussNewton`. The target of the problem gives only its shape.
 */
export async function fisher(
  problem: LossProblem | StreamedProblem,
  options?: FisherOptions,
): Promise<LinearOperator> {
  const given = FISHER_OPTIONS.read(options);
  if (isStreamed(problem)) {
    const { seed } = sampling(given);
    // Draws of their own for each batch.
    return ofStream(problem, given, rowsOf, (each, index) =>
      fisher(each, { ...given, seed: seed + BigInt(index) }),
    );
  }
  return create(ofLoss('fisher', problem, given, sampling(given)));
}
/** `fisher` on the calling thread. */
export function fisherSync(problem: LossProblem, options?: FisherOptions): LinearOperator {
  const given = FISHER_OPTIONS.read(options);
  return createSync(ofLoss('fisher', problem, given, sampling(given)));
}

/** The loss at the parameters, and its gradient by them (flat, P). */
export async function lossAndGradient(
  problem: LossProblem | StreamedProblem,
  options?: OperatorOptions,
): Promise<{ loss: number; gradient: FloatArray }> {
  const given = OPERATOR_OPTIONS.read(options);
  if (isStreamed(problem)) return streamedGradient(problem, given);
  const { request, signal, describe } = lossRequest(problem, given);
  return run('lossGradient', request, signal, describe);
}
/** `lossAndGradient` on the calling thread. */
export function lossAndGradientSync(
  problem: LossProblem,
  options?: OperatorOptions,
): { loss: number; gradient: FloatArray } {
  const given = OPERATOR_OPTIONS.read(options);
  const { request, signal, describe } = lossRequest(problem, given);
  return runSync('lossGradient', request, signal, describe);
}

/** The operator of a stream, from that of each batch. `share` is how a batch counts in the mean of a loss. */
async function ofStream(
  stream: StreamedProblem,
  options: CentredOperatorOptions,
  share: CountOf | undefined,
  make: (problem: LossProblem, index: number) => Promise<LinearOperator>,
): Promise<LinearOperator> {
  const problem = readStreamed(stream);
  const { params, dtype, device } = streamed(problem, options);
  const counted = problem.reduction === 'sum' ? undefined : share;
  return streamedOperator(problem, { dtype, device }, counted, (batch, index) =>
    make(ofBatch(problem, batch, params), index),
  );
}

async function streamedGradient(stream: StreamedProblem, options: OperatorOptions) {
  const problem = readStreamed(stream);
  const { params, dtype } = streamed(problem, options);
  const gradient = floatArray(dtype, params.length);
  let [loss, total] = [0, 0];
  for await (const batch of batchesOf(problem.batches)) {
    const part = await lossAndGradient(ofBatch(problem, batch, params), options);
    const count = problem.reduction === 'sum' ? 1 : termsOf(batch);
    // A batch without terms has no mean of its own.
    if (count === 0) continue;
    loss += count * part.loss;
    for (let i = 0; i < gradient.length; i++) gradient[i]! += count * part.gradient[i]!;
    total += count;
  }
  if (problem.reduction === 'sum') return { loss, gradient };
  return { loss: loss / total, gradient: gradient.map((each) => each / total) as FloatArray };
}

/** The problem of one batch. The checks of a loss find a target that is missing. */
function ofBatch({ batches: _, ...rest }: StreamedProblem, batch: Batch, params: FloatArray): LossProblem {
  return { ...rest, ...batch, params } as LossProblem;
}

/** The parameters of a streamed problem, copied as those of any operator are. */
function streamed({ model, params }: StreamedProblem, options: CentredOperatorOptions) {
  const { device } = checkOptions(options);
  if (options.weights !== undefined || options.center) {
    throw outOfRange('weights and center are of all rows at once, which a stream of batches does not have');
  }
  const flat = model.toFlat(params, 'params').slice();
  return { params: flat, dtype: dtypeOf(flat), device };
}

interface Recipe {
  request: Operations['createOperator']['request'];
  signal: AbortSignal | undefined;
  describe: () => object;
  rows: Space;
  columns: Space;
}

async function create({ request, signal, describe, rows, columns }: Recipe): Promise<LinearOperator> {
  return new LinearOperator(await run('createOperator', request, signal, describe), rows, columns);
}

function createSync({ request, signal, describe, rows, columns }: Recipe): LinearOperator {
  return new LinearOperator(runSync('createOperator', request, signal, describe), rows, columns);
}

type ModelKind = 'gramian' | 'jacobian' | 'ntk';

function ofModel(kind: ModelKind, problem: Problem | Linearization, options: CentredOperatorOptions): Recipe {
  if (problem instanceof Linearization) {
    const { threads, chunkSize, signal } = checkOptions(options);
    const { outputShape, dtype, device, model, parameterCount } = problem;
    const weights = weightFields(options, outputShape[0]!, dtype);
    const request = { kind, linearization: problem.handle, threads, chunkSize, ...weights };
    const describe = () => ({ kind, device, dtype, parameterCount, batch: outputShape[0]! });
    return { request, signal, describe, ...spaces(kind, model, outputShape) };
  }
  const { request, dtype, outputShape, signal, describe, model } = linearizeRequest(
    checkProblem(problem),
    options,
  );
  const weights = weightFields(options, outputShape[0]!, dtype);
  return {
    request: { kind, ...request, ...weights },
    signal,
    describe: () => ({ kind, ...describe() }),
    ...spaces(kind, model, outputShape),
  };
}

function spaces(kind: ModelKind, model: Model, shape: readonly number[]): { rows: Space; columns: Space } {
  const parameters: Space = { kind: 'parameters', model };
  const outputs: Space = { kind: 'outputs', shape };
  return { rows: kind === 'gramian' ? parameters : outputs, columns: kind === 'ntk' ? outputs : parameters };
}

function ofLoss(
  kind: 'hessian' | 'gaussNewton' | 'empiricalFisher' | 'fisher',
  problem: LossProblem,
  options: CentredOperatorOptions,
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

function lossRequest(problem: LossProblem, options: CentredOperatorOptions) {
  const given = checkProblem(problem);
  const { request, dtype, outputShape, signal, describe, model } = linearizeRequest(given, options);
  const fields = { ...lossFields(given, dtype), ...weightFields(options, outputShape[0]!, dtype) };
  return { request: { ...request, ...fields }, signal, describe, model };
}

function sampling({ mcSamples = 1, seed = 0 }: FisherOptions): { mcSamples: number; seed: bigint } {
  return { mcSamples: positive(mcSamples, 'mcSamples'), seed: toSeed(seed) };
}
