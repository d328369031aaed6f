/** Linearize once, apply many times. */

import { inspect } from 'node:util';
import { addon } from '../addon/addon.ts';
import { NativeObject } from '../addon/native-object.ts';
import { operation } from '../addon/operation.ts';
import type { LinearizationHandle } from '../addon/requests.ts';
import {
  type ArrayKind,
  type DType,
  dtypeOf,
  type FloatArray,
  type IntegerArray,
  numel,
  type ParameterVector,
  type ResultArray,
  type Tensor,
} from '../arrays.ts';
import {
  type ApplyOptions,
  checkApplyOptions,
  checkOptions,
  checkOutputVector,
  type Engine,
  type OutOption,
  positive,
} from '../check.ts';
import { guard } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import type { Model } from '../model/model.ts';
import { type NamesOf, OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import { isCut } from '../problem/part.ts';
import type { Problem } from '../problem/problem.ts';

/** How to linearize. */
export interface LinearizeOptions {
  /** `'cpu'` (the default), `'cuda'` or `'cuda:N'`. */
  device?: string;
  /**
   * Rows of the batch in each chunk; by default as many as the memory budget allows. A model with a `batchSize` runs
   * that many at a time instead.
   */
  chunkSize?: number;
  /** Bytes that may be kept between products; chunks beyond it are linearized anew in each. Half of what is free. */
  memoryBudget?: number;
  /** How many products are expected: an engine may pay a longer set-up when many are to come. 8 by default. */
  products?: number;
  /** Intra-op threads of the set-up and, unless told otherwise, of each product. */
  threads?: number;
  /** `'auto'` by default. */
  engine?: Engine;
  /** Stops the set-up between chunks; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

export const LINEARIZE_NAMES: NamesOf<LinearizeOptions> = {
  device: true,
  chunkSize: true,
  memoryBudget: true,
  products: true,
  threads: true,
  engine: true,
  signal: true,
};
const LINEARIZE_OPTIONS = new OptionNames<LinearizeOptions>(LINEARIZE_NAMES);

/**
 * The model linearized at its parameters for a batch: J = ∂y/∂θ as a linear map, at the price of one forward pass. Made by
 * `linearize`; `F` is the kind of array of its parameters.
 */
export class Linearization<F extends FloatArray = FloatArray> extends NativeObject<LinearizationHandle> {
  /** Of the parameters, vectors and results. */
  readonly dtype: DType;
  /** Where it is kept and computes. */
  readonly device: string;
  /** Shape of the outputs y, [batch, …]. */
  readonly outputShape: readonly number[];
  /** P, the length of tangents. */
  readonly parameterCount: number;
  /** Bytes kept for products. */
  readonly bytes: number;
  /** Which engine runs the products. */
  readonly engine: Exclude<Engine, 'auto'>;

  /** @internal */
  readonly model: Model;
  readonly #threads: number;

  static {
    guard(Linearization, Linearization.is);
  }

  /** @internal Whether it is one, and no Proxy or heir of one. */
  static is(value: unknown): value is Linearization {
    return typeof value === 'object' && value !== null && #threads in value;
  }

  /** @internal */
  constructor(handle: LinearizationHandle, model: Model, threads: number) {
    super(handle, 'the linearization', 'linearize', (each) => addon().linearizationDispose(each));
    const { outputShape, parameterCount, float64, device, bytes, engine } = addon().linearizationInfo(handle);
    this.dtype = float64 ? 'float64' : 'float32';
    this.device = device;
    this.outputShape = outputShape;
    this.parameterCount = parameterCount;
    this.bytes = bytes;
    this.engine = engine;
    this.model = model;
    this.#threads = threads;
  }

  /** The outputs y at the parameters. */
  get output(): Tensor<ResultArray<F>> {
    return addon().linearizationOutput(this.handle) as Tensor<ResultArray<F>>;
  }

  /** JᵀJ v for a tangent v; flat, of the length of the parameters. */
  async matvec<Out extends FloatArray = ResultArray<F>>(
    v: ParameterVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Out> {
    return Linearization.#product.promised(this, 'matvec', v, options) as Promise<Out>;
  }
  /** `matvec` on the calling thread. */
  matvecSync<Out extends FloatArray = ResultArray<F>>(
    v: ParameterVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Out {
    return Linearization.#product.sync(this, 'matvec', v, options) as Out;
  }

  /** J v for a tangent v; of the shape of the outputs. */
  async jvp<Out extends FloatArray = ResultArray<F>>(
    v: ParameterVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Tensor<Out>> {
    const data = await Linearization.#product.promised(this, 'jvp', v, options);
    return this.#output(data as Out);
  }
  /** `jvp` on the calling thread. */
  jvpSync<Out extends FloatArray = ResultArray<F>>(
    v: ParameterVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Tensor<Out> {
    return this.#output(Linearization.#product.sync(this, 'jvp', v, options) as Out);
  }

  /** Jᵀu for a cotangent u, a tensor of the shape of the outputs or its flat data; flat, of the parameters' length. */
  async vjp<Out extends FloatArray = ResultArray<F>>(
    u: F | Tensor<F | IntegerArray>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Out> {
    return Linearization.#product.promised(this, 'vjp', u, options) as Promise<Out>;
  }
  /** `vjp` on the calling thread. */
  vjpSync<Out extends FloatArray = ResultArray<F>>(
    u: F | Tensor<F | IntegerArray>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Out {
    return Linearization.#product.sync(this, 'vjp', u, options) as Out;
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'Linearization';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { outputShape, parameterCount, dtype, device, engine, bytes, disposed } = this;
    const fields = { outputShape, parameterCount, dtype, device, engine, bytes, disposed };
    return inspected('Linearization', fields, how);
  }

  #output<Out extends FloatArray>(data: Out): Tensor<Out> {
    return { data, shape: this.outputShape };
  }

  /** The products, all of one shape: a vector, checked and flat, to a vector. */
  static readonly #product = operation(
    (
      of: Linearization,
      product: 'matvec' | 'jvp' | 'vjp',
      vector: ParameterVector | Tensor,
      options: ApplyOptions | undefined,
    ) => {
      const { device, dtype, parameterCount, outputShape } = of;
      const v =
        product === 'vjp'
          ? checkOutputVector(vector, 'u', outputShape, dtype)
          : of.model.toFlat(vector as ParameterVector, 'v', dtype);
      const length = product === 'jvp' ? numel(outputShape) : parameterCount;
      const { threads, out, signal } = checkApplyOptions(options, length, dtype);
      return {
        name: 'linearizationApply',
        request: { linearization: of.handle, product, v, threads: threads || of.#threads, out },
        signal,
        describe: () => ({ product, device, dtype, parameterCount, batch: outputShape[0]! }),
        result: (found) => found,
      };
    },
  );
}

const LINEARIZE = operation((problem: Problem, options: LinearizeOptions | undefined) => {
  const { request, signal, describe, model } = linearizeRequest(
    checkProblem(problem),
    LINEARIZE_OPTIONS.read(options),
  );
  return {
    name: 'linearize',
    request,
    signal,
    describe,
    result: (handle) => new Linearization(handle, model, request.threads),
  };
});

/**
 * Linearizes a model at its parameters for a batch. Each product then pays its linear part only. The parameters and the
 * data are copied: changing them later changes nothing.
 *
 * @throws TorchCurvatureError as `matvecOnTheFly`
 */
export async function linearize<F extends FloatArray>(
  problem: Problem<F>,
  options?: LinearizeOptions,
): Promise<Linearization<ArrayKind<F>>> {
  return LINEARIZE.promised(problem, options) as Promise<Linearization<ArrayKind<F>>>;
}

/** `linearize` on the calling thread. */
export function linearizeSync<F extends FloatArray>(
  problem: Problem<F>,
  options?: LinearizeOptions,
): Linearization<ArrayKind<F>> {
  return LINEARIZE.sync(problem, options) as Linearization<ArrayKind<F>>;
}

/** Used inside the package: the request of anything that linearizes, from a problem and options read before. */
export function linearizeRequest(problem: Problem, options: LinearizeOptions) {
  const { model, params, x } = problem;
  const { signal, ...how } = checkOptions(options);
  const { request, batch, describe } = model.request(params, x, how);
  return {
    request: { ...request, ...(isCut(problem) ? { cut: true } : {}), ...planFields(options) },
    dtype: dtypeOf(request.params),
    batch,
    signal,
    describe,
    model,
  };
}

/** Used inside the package: what a linearization is planned by, checked. */
export function planFields({ memoryBudget, products }: LinearizeOptions) {
  return {
    ...(memoryBudget === undefined ? {} : { memoryBudget: positive(memoryBudget, 'memoryBudget') }),
    ...(products === undefined ? {} : { products: positive(products, 'products') }),
  };
}
