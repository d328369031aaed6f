/** The two products: (JᵀJ)v with and without the Jacobian J = ∂f(θ, x)/∂θ, over all rows of the batch and outputs. */

import { operation } from '../addon/operation.ts';
import type { RawDenseRequest, RawProductRequest } from '../addon/requests.ts';
import {
  type ArrayKind,
  allocated,
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

/** A product of a problem in one piece, or in its promised form over a stream, whose products add up. */
function product<Options extends ProductOptions>(
  names: OptionNames<Options>,
  ask: (request: RawProductRequest, options: Options) => Product,
) {
  const whole = operation((problem: Problem, v: ParameterVector, options: Options | undefined) => {
    const given = names.read(options);
    const { request, signal, describe } = productRequest(problem, v, given);
    return { ...ask(request, given), signal, describe, result: (found: FloatArray) => found };
  });
  return {
    ...whole,
    async promised(
      problem: Problem | GivenStreamedProblem,
      v: ParameterVector,
      options: Options | undefined,
    ): Promise<FloatArray> {
      if (!isStreamed(problem)) return whole.promised(problem, v, options);
      return streamedProduct(whole.promised, readStreamed(problem), v, names.read(options));
    },
  };
}

type Product =
  | { name: 'matvecOnTheFly'; request: RawProductRequest }
  | { name: 'matvecDense'; request: RawDenseRequest };

async function streamedProduct<Options extends ProductOptions>(
  product: (problem: Problem, v: ParameterVector, options: Options) => Promise<FloatArray>,
  { model, params, batches }: GivenStreamedProblem,
  v: ParameterVector,
  { out, ...rest }: Options,
): Promise<FloatArray> {
  const flat = copyOf(model.toFlat(params, 'params'));
  const dtype = dtypeOf(flat);
  const tangent = copyOf(model.toFlat(v, 'v', dtype));
  const result =
    out === undefined ? floatArray(dtype, flat.length) : checkVector(out, 'out', flat.length, dtype);
  const sum = allocated(Float64Array, flat.length);
  const partOf = parts();
  for await (const { x, weights } of batchesOf(batches, checkOptions(rest).signal)) {
    if (weights !== undefined) throw outOfRange('weights are for operators, as gramian makes them');
    const part = await product(partOf({ model, params: flat, x }), tangent, rest as Options);
    for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
  }
  write(result, dtype === 'float64' ? sum : Float32Array.from(sum));
  return result;
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

const ON_THE_FLY = product(PRODUCT_OPTIONS, (request) => ({ name: 'matvecOnTheFly', request }));

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
export function matvecOnTheFly<F extends FloatArray, Out extends FloatArray = ResultArray<ArrayKind<F>>>(
  problem: Problem<F> | StreamedProblem<F, string>,
  v: ParameterVector<F>,
  options?: ProductOptions<Out> & OutOption<ArrayKind<F>>,
): Promise<Out> {
  return ON_THE_FLY.promised(problem, v, options) as Promise<Out>;
}

/** `matvecOnTheFly` on the calling thread. */
export function matvecOnTheFlySync<F extends FloatArray, Out extends FloatArray = ResultArray<ArrayKind<F>>>(
  problem: Problem<F>,
  v: ParameterVector<F>,
  options?: ProductOptions<Out> & OutOption<ArrayKind<F>>,
): Out {
  return ON_THE_FLY.sync(problem, v, options) as Out;
}

const DENSE = product(DENSE_OPTIONS, (request, { strategy = 'gram' }) => ({
  name: 'matvecDense',
  request: { ...request, strategy: checkOneOf(strategy, STRATEGIES, 'strategy') },
}));

/**
 * (JᵀJ)v through a materialized J of [rows·outputs, P]: the reference that on-the-fly products are measured against.
 *
 * @throws TorchCurvatureError as `matvecOnTheFly`; `ERR_OUT_OF_MEMORY`, with the estimate, before it allocates
 */
export function matvecDense<F extends FloatArray, Out extends FloatArray = ResultArray<ArrayKind<F>>>(
  problem: Problem<F> | StreamedProblem<F, string>,
  v: ParameterVector<F>,
  options?: DenseOptions<Out> & OutOption<ArrayKind<F>>,
): Promise<Out> {
  return DENSE.promised(problem, v, options) as Promise<Out>;
}

/** `matvecDense` on the calling thread. */
export function matvecDenseSync<F extends FloatArray, Out extends FloatArray = ResultArray<ArrayKind<F>>>(
  problem: Problem<F>,
  v: ParameterVector<F>,
  options?: DenseOptions<Out> & OutOption<ArrayKind<F>>,
): Out {
  return DENSE.sync(problem, v, options) as Out;
}
