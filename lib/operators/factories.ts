/** The curvature operators of a model. Each copies what it needs: changing parameters or data later changes nothing. */
import type { FloatArray } from '../arrays.ts';
import { checkOptions, positive, record } from '../check.ts';
import { toSeed } from '../generator.ts';
import { Linearization, type LinearizeOptions, linearizeRequest } from '../linearize.ts';
import type { Model } from '../models.ts';
import type { Operations } from '../native.ts';
import type { Problem } from '../products.ts';
import { run, runSync } from '../run.ts';
import { LinearOperator, type Space } from './linear-operator.ts';
import {
  type CenterOptions,
  type LossProblem,
  lossFields,
  type WeightOptions,
  weightFields,
} from './problem.ts';

export type OperatorOptions = LinearizeOptions & WeightOptions;
export type CentredOperatorOptions = LinearizeOptions & CenterOptions;

export interface FisherOptions extends LinearizeOptions, CenterOptions {
  /** Targets drawn for each row; 1 by default. */
  mcSamples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

/**
 * JᵀJ, [P, P]. With `weights` w and `center`, Jᵀ W (I − 1wᵀ/Σw) J: with w = 1/N the quantum geometric tensor of
 * stochastic reconfiguration. Takes a problem, or a linearisation, which it then shares.
 */
export async function gramian(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  return create(ofModel('gramian', problem, options));
}
export function gramianSync(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): LinearOperator {
  return createSync(ofModel('gramian', problem, options));
}

/**
 * J, [N·outputs, P]: `matvec` is J v, `rmatvec` is Jᵀu. With `weights` w and `center`, √W (I − 1wᵀ/Σw) J, which makes
 * `gramian` of the same options its square.
 */
export async function jacobian(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  return create(ofModel('jacobian', problem, options));
}
export function jacobianSync(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): LinearOperator {
  return createSync(ofModel('jacobian', problem, options));
}

/** A Aᵀ, [N·outputs, N·outputs], with A what `jacobian` gives for the same options: J Jᵀ, the tangent kernel. */
export async function ntk(
  problem: Problem | Linearization,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  return create(ofModel('ntk', problem, options));
}
export function ntkSync(problem: Problem | Linearization, options?: CentredOperatorOptions): LinearOperator {
  return createSync(ofModel('ntk', problem, options));
}

/** The Hessian of the loss by the parameters, [P, P]. */
export async function hessian(problem: LossProblem, options?: OperatorOptions): Promise<LinearOperator> {
  return create(ofLoss('hessian', problem, options));
}
export function hessianSync(problem: LossProblem, options?: OperatorOptions): LinearOperator {
  return createSync(ofLoss('hessian', problem, options));
}

/** Jᵀ H J with H the Hessian of the loss by the outputs, [P, P]. */
export async function gaussNewton(problem: LossProblem, options?: OperatorOptions): Promise<LinearOperator> {
  return create(ofLoss('gaussNewton', problem, options));
}
export function gaussNewtonSync(problem: LossProblem, options?: OperatorOptions): LinearOperator {
  return createSync(ofLoss('gaussNewton', problem, options));
}

/** The mean over rows (or, for `reduction: 'sum'`, the sum) of g gᵀ with g the gradient of a row's own loss, [P, P]. */
export async function empiricalFisher(
  problem: LossProblem,
  options?: CentredOperatorOptions,
): Promise<LinearOperator> {
  return create(ofLoss('empiricalFisher', problem, options));
}
export function empiricalFisherSync(problem: LossProblem, options?: CentredOperatorOptions): LinearOperator {
  return createSync(ofLoss('empiricalFisher', problem, options));
}

/**
 * The Fisher matrix by Monte Carlo, [P, P]: as `empiricalFisher`, with targets drawn from the distribution that the
 * model itself predicts. Its expectation is `gaussNewton`. The target of the problem gives only its shape.
 */
export async function fisher(problem: LossProblem, options?: FisherOptions): Promise<LinearOperator> {
  return create(ofLoss('fisher', problem, options, sampling(options)));
}
export function fisherSync(problem: LossProblem, options?: FisherOptions): LinearOperator {
  return createSync(ofLoss('fisher', problem, options, sampling(options)));
}

/** The loss at the parameters, and its gradient by them (flat, P). */
export async function lossAndGradient(
  problem: LossProblem,
  options?: OperatorOptions,
): Promise<{ loss: number; gradient: FloatArray }> {
  const { request, signal, describe } = lossRequest(problem, options);
  return run('lossGradient', request, signal, describe);
}
/** `lossAndGradient` on the calling thread. */
export function lossAndGradientSync(
  problem: LossProblem,
  options?: OperatorOptions,
): { loss: number; gradient: FloatArray } {
  const { request, signal, describe } = lossRequest(problem, options);
  return runSync('lossGradient', request, signal, describe);
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

function ofModel(
  kind: ModelKind,
  problem: Problem | Linearization,
  options: CentredOperatorOptions | undefined,
): Recipe {
  if (problem instanceof Linearization) {
    const { threads, chunkSize, signal } = checkOptions(options);
    const { outputShape, dtype, device, model, parameterCount } = problem;
    const weights = weightFields(options, outputShape[0]!, dtype);
    const request = { kind, linearization: problem.handle, threads, chunkSize, ...weights };
    const describe = () => ({ kind, device, dtype, parameterCount, batch: outputShape[0]! });
    return { request, signal, describe, ...spaces(kind, model, outputShape) };
  }
  const { request, dtype, outputShape, signal, describe, model } = linearizeRequest(problem, options);
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
  options: CentredOperatorOptions | undefined,
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

function lossRequest(problem: LossProblem, options: CentredOperatorOptions | undefined) {
  const { request, dtype, outputShape, signal, describe, model } = linearizeRequest(problem, options);
  const fields = { ...lossFields(problem, dtype), ...weightFields(options, outputShape[0]!, dtype) };
  return { request: { ...request, ...fields }, signal, describe, model };
}

function sampling(options: FisherOptions | undefined): { mcSamples: number; seed: bigint } {
  const { mcSamples = 1, seed = 0 } = record(options ?? {}, 'options') as FisherOptions;
  return { mcSamples: positive(mcSamples, 'mcSamples'), seed: toSeed(seed) };
}
