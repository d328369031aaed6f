/** The two products: (JᵀJ)v with and without the Jacobian J = ∂f(θ, x)/∂θ, over all rows of the batch and outputs. */

import type { RawDenseRequest, RawProductRequest } from '../addon/requests.ts';
import { run, runSync } from '../addon/run.ts';
import {
  type ArrayKind,
  copyOf,
  dtypeOf,
  type FloatArray,
  floatArray,
  type ParameterVector,
  type ResultArray,
  write,
} from '../arrays.ts';
import {
  checkOneOf,
  checkOptions,
  checkVector,
  type OutOption,
  PRODUCT_NAMES,
  PRODUCT_OPTIONS,
  type ProductOptions,
} from '../check.ts';
import { outOfRange } from '../errors.ts';
import { OptionNames } from '../options.ts';
import { batchesOf } from '../problem/batches.ts';
import { checkProblem, readStreamed } from '../problem/check.ts';
import { isCut, parts } from '../problem/part.ts';
import type { Problem } from '../problem/problem.ts';
import { type GivenStreamedProblem, isStreamed, type StreamedProblem } from '../problem/streamed-problem.ts';

export const STRATEGIES = ['gram', 'jacobian'] as const;

/** Of `matvecDense`. */
export interface DenseOptions<Out extends FloatArray = FloatArray> extends ProductOptions<Out> {
  /** `'gram'` (the default) builds F = JᵀJ and multiplies; `'jacobian'` stops at J and computes Jᵀ(J v). */
  strategy?: (typeof STRATEGIES)[number];
}

const DENSE_OPTIONS = new OptionNames<DenseOptions>({ ...PRODUCT_NAMES, strategy: true });

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
export function matvecOnTheFly<F extends FloatArray, Out extends FloatArray = ResultArray<F>>(
  problem: Problem<F> | StreamedProblem<F, string>,
  v: ParameterVector<F>,
  options?: ProductOptions<Out> & OutOption<ArrayKind<F>>,
): Promise<Out>;
export async function matvecOnTheFly(
  problem: Problem | GivenStreamedProblem,
  v: ParameterVector,
  options?: ProductOptions,
): Promise<FloatArray> {
  const given = PRODUCT_OPTIONS.read(options);
  if (isStreamed(problem)) return streamedProduct(matvecOnTheFly, readStreamed(problem), v, given);
  const { request, signal, describe } = productRequest(problem, v, given);
  return run('matvecOnTheFly', request, signal, describe);
}

/** `matvecOnTheFly` on the calling thread. */
export function matvecOnTheFlySync<F extends FloatArray, Out extends FloatArray = ResultArray<F>>(
  problem: Problem<F>,
  v: ParameterVector<F>,
  options?: ProductOptions<Out> & OutOption<ArrayKind<F>>,
): Out;
export function matvecOnTheFlySync(
  problem: Problem,
  v: ParameterVector,
  options?: ProductOptions,
): FloatArray {
  const { request, signal, describe } = productRequest(problem, v, PRODUCT_OPTIONS.read(options));
  return runSync('matvecOnTheFly', request, signal, describe);
}

/**
 * (JᵀJ)v through a materialized J of [rows·outputs, P]: the reference that on-the-fly products are measured against.
 *
 * @throws TorchCurvatureError as `matvecOnTheFly`; `ERR_OUT_OF_MEMORY`, with the estimate, before it allocates
 */
export function matvecDense<F extends FloatArray, Out extends FloatArray = ResultArray<F>>(
  problem: Problem<F> | StreamedProblem<F, string>,
  v: ParameterVector<F>,
  options?: DenseOptions<Out> & OutOption<ArrayKind<F>>,
): Promise<Out>;
export async function matvecDense(
  problem: Problem | GivenStreamedProblem,
  v: ParameterVector,
  options?: DenseOptions,
): Promise<FloatArray> {
  if (isStreamed(problem)) {
    return streamedProduct(matvecDense, readStreamed(problem), v, DENSE_OPTIONS.read(options));
  }
  const { request, signal, describe } = denseRequest(problem, v, options);
  return run('matvecDense', request, signal, describe);
}

/** `matvecDense` on the calling thread. */
export function matvecDenseSync<F extends FloatArray, Out extends FloatArray = ResultArray<F>>(
  problem: Problem<F>,
  v: ParameterVector<F>,
  options?: DenseOptions<Out> & OutOption<ArrayKind<F>>,
): Out;
export function matvecDenseSync(problem: Problem, v: ParameterVector, options?: DenseOptions): FloatArray {
  const { request, signal, describe } = denseRequest(problem, v, options);
  return runSync('matvecDense', request, signal, describe);
}

async function streamedProduct<Options extends ProductOptions>(
  product: (problem: Problem, v: ParameterVector, options: Omit<Options, 'out'>) => Promise<FloatArray>,
  { model, params, batches }: GivenStreamedProblem,
  v: ParameterVector,
  { out, ...rest }: Options,
): Promise<FloatArray> {
  const flat = copyOf(model.toFlat(params, 'params'));
  const dtype = dtypeOf(flat);
  const tangent = copyOf(model.toFlat(v, 'v', dtype));
  const result =
    out === undefined ? floatArray(dtype, flat.length) : checkVector(out, 'out', flat.length, dtype);
  const sum = new Float64Array(flat.length);
  const partOf = parts();
  for await (const { x, weights } of batchesOf(batches, checkOptions(rest).signal)) {
    if (weights !== undefined) throw outOfRange('weights are for operators, as gramian makes them');
    const part = await product(partOf({ model, params: flat, x }), tangent, rest);
    for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
  }
  write(result, dtype === 'float64' ? sum : Float32Array.from(sum));
  return result;
}

function denseRequest(problem: Problem, v: ParameterVector, options: DenseOptions | undefined) {
  const { strategy: given = 'gram', ...how } = DENSE_OPTIONS.read(options);
  const { request, ...rest } = productRequest(problem, v, how);
  const strategy = checkOneOf(given, STRATEGIES, 'strategy');
  return { ...rest, request: { ...request, strategy } satisfies RawDenseRequest };
}

function productRequest(problem: Problem, v: ParameterVector, options: ProductOptions) {
  const { signal, ...how } = checkOptions(options);
  const given = checkProblem(problem);
  const { model, params, x } = given;
  const { request, describe } = model.request(params, x, how);
  const dtype = dtypeOf(request.params);
  const { out } = options;
  const product: RawProductRequest = {
    ...request,
    ...(isCut(given) ? { cut: true } : {}),
    v: model.toFlat(v, 'v', dtype),
    out: out === undefined ? undefined : checkVector(out, 'out', model.parameterCount, dtype),
  };
  return { request: product, signal, describe };
}
