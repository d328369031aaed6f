/** The two products: (JᵀJ)v with and without the Jacobian J = ∂f(θ, x)/∂θ, over all rows of the batch and outputs. */
import { dtypeOf, type FloatArray, type ParameterVector } from './arrays.ts';
import { checkOneOf, checkOptions, checkVector, type ProductOptions, record } from './check.ts';
import { wrongType } from './errors.ts';
import { type Inputs, Model } from './models.ts';
import type { RawDenseRequest, RawProductRequest } from './native.ts';
import { batchesOf, isStreamed, type StreamedProblem } from './operators/streamed.ts';
import { run, runSync } from './run.ts';

/** A model at its parameters, with data. */
export interface Problem {
  /** From `Model.sequential` or `Model.load`. */
  model: Model;
  /** Flat, or one array for each parameter by name. Their kind decides the precision of everything else. */
  params: ParameterVector;
  /** The first axis is the batch. */
  x: Inputs;
}

export const STRATEGIES = ['gram', 'jacobian'] as const;

/** Of `matvecDense`. */
export interface DenseOptions extends ProductOptions {
  /** `'gram'` (the default) builds F = JᵀJ and multiplies; `'jacobian'` stops at J and computes Jᵀ(J v). */
  strategy?: (typeof STRATEGIES)[number];
}

/**
 * Jᵀ(J v) without J: one forward pass that takes tangents along gives J v, one backward pass of that gives the product.
 * Memory grows with the activations of `chunkSize` rows, not with rows × parameters.
 *
 * @param problem data as one tensor, or a stream of batches, whose products add up
 * @param v a tangent over the parameters
 * @returns a flat array of the length and kind of the parameters: `options.out` where given
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH`, `ERR_DTYPE_MISMATCH`, `ERR_DEVICE_UNAVAILABLE`,
 * `ERR_OUT_OF_MEMORY`, `ERR_UNSUPPORTED_OP`; the reason of `options.signal`
 */
export async function matvecOnTheFly(
  problem: Problem | StreamedProblem,
  v: ParameterVector,
  options?: ProductOptions,
): Promise<FloatArray> {
  if (isStreamed(problem)) return streamedProduct(problem, v, options);
  const { request, signal, describe } = productRequest(problem, v, options);
  return run('matvecOnTheFly', request, signal, describe);
}

/** `matvecOnTheFly` on the calling thread. */
export function matvecOnTheFlySync(
  problem: Problem,
  v: ParameterVector,
  options?: ProductOptions,
): FloatArray {
  const { request, signal, describe } = productRequest(problem, v, options);
  return runSync('matvecOnTheFly', request, signal, describe);
}

/**
 * (JᵀJ)v through a materialised J of [rows·outputs, P]: the reference that on-the-fly products are measured against.
 *
 * @throws TorchCurvatureError as `matvecOnTheFly`; `ERR_OUT_OF_MEMORY`, with the estimate, before it allocates
 */
export async function matvecDense(
  problem: Problem,
  v: ParameterVector,
  options?: DenseOptions,
): Promise<FloatArray> {
  const { request, signal, describe } = denseRequest(problem, v, options);
  return run('matvecDense', request, signal, describe);
}

/** `matvecDense` on the calling thread. */
export function matvecDenseSync(problem: Problem, v: ParameterVector, options?: DenseOptions): FloatArray {
  const { request, signal, describe } = denseRequest(problem, v, options);
  return runSync('matvecDense', request, signal, describe);
}

async function streamedProduct(
  { model, params, batches }: StreamedProblem,
  v: ParameterVector,
  options: ProductOptions | undefined,
): Promise<FloatArray> {
  checkProblem({ model });
  const flat = model.toFlat(params, 'params').slice();
  const tangent = model.toFlat(v, 'v', dtypeOf(flat)).slice();
  const { out, ...rest } = record(options ?? {}, 'options') as ProductOptions;
  const result =
    out === undefined ? flat.map(() => 0) : checkVector(out, 'out', flat.length, dtypeOf(flat)).fill(0);
  for await (const { x } of batchesOf(batches)) {
    const part = await matvecOnTheFly({ model, params: flat, x }, tangent, rest);
    for (let i = 0; i < result.length; i++) result[i]! += part[i]!;
  }
  return result;
}

function denseRequest(problem: Problem, v: ParameterVector, options: DenseOptions | undefined) {
  const { request, ...rest } = productRequest(problem, v, options);
  const strategy = checkOneOf(options?.strategy ?? 'gram', STRATEGIES, 'strategy');
  return { ...rest, request: { ...request, strategy } satisfies RawDenseRequest };
}

function productRequest(problem: Problem, v: ParameterVector, options: ProductOptions | undefined) {
  const { signal, ...how } = checkOptions(options);
  const { model, params, x } = checkProblem(problem);
  const { request, describe } = model.request(params, x, how);
  const dtype = dtypeOf(request.params);
  const out = options?.out;
  const product: RawProductRequest = {
    ...request,
    v: model.toFlat(v, 'v', dtype),
    out: out === undefined ? undefined : checkVector(out, 'out', model.parameterCount, dtype),
  };
  return { request: product, signal, describe };
}

/** A problem with a model in it; the rest is checked with the model. */
export function checkProblem<P extends { model: Model }>(problem: P): P {
  record(problem, 'problem');
  if (!(problem.model instanceof Model)) {
    throw wrongType('problem.model should come from Model.sequential or Model.load');
  }
  return problem;
}
