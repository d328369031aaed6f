/** PyTorch's random numbers. */

import { inspect } from 'node:util';
import { addon } from '../addon/addon.ts';
import type { GeneratorHandle } from '../addon/requests.ts';
import {
  type DType,
  describe,
  elementCount,
  type FloatArray,
  type ResultArray,
  sizesOf,
  type Tensor,
} from '../arrays.ts';
import { checkDType, checkFinite, isFiniteIn } from '../check.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { guard } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import { OptionNames } from '../options.ts';

/** Of `Generator.randn`. */
export interface NormalOptions {
  /** `'float32'` by default. */
  dtype?: DType;
}
const NORMAL_OPTIONS = new OptionNames<NormalOptions>({ dtype: true });

/** Of `Generator.uniform`. */
export interface UniformOptions {
  /** 0 by default. */
  low?: number;
  /** 1 by default; not drawn itself. */
  high?: number;
  /** `'float32'` by default. */
  dtype?: DType;
}
const UNIFORM_OPTIONS = new OptionNames<UniformOptions>({ low: true, high: true, dtype: true });

/**
 * The stream of numbers that PyTorch draws on the CPU after `torch.manual_seed(seed)`: the same draws in the same
 * order give the same numbers. Each generator has a state of its own.
 */
export class Generator {
  readonly #handle: GeneratorHandle;
  readonly #seed: bigint;

  static {
    guard(Generator, Generator.is);
  }

  /** @internal Whether it is one, and no Proxy or heir of one. */
  static is(value: unknown): value is Generator {
    return typeof value === 'object' && value !== null && #handle in value;
  }

  /** @throws TypeError or RangeError when `seed` is no whole number in [0, 2⁶⁴) */
  constructor(seed: number | bigint) {
    this.#seed = toSeed(seed);
    this.#handle = addon().createGenerator(this.#seed);
  }

  /** `torch.randn(shape)`: standard normal. */
  randn(
    shape: readonly number[],
    options: NormalOptions & { dtype: 'float64' },
  ): Tensor<ResultArray<Float64Array>>;
  randn(
    shape: readonly number[],
    options?: NormalOptions & { dtype?: 'float32' },
  ): Tensor<ResultArray<Float32Array>>;
  randn(shape: readonly number[], options?: NormalOptions): Tensor<ResultArray<FloatArray>>;
  randn(shape: readonly number[], options?: NormalOptions): Tensor<FloatArray> {
    const sizes = drawnShape(shape);
    const float64 = checkDType(NORMAL_OPTIONS.read(options).dtype) === 'float64';
    return { data: addon().normal(this.#handle, sizes, 0, 1, float64), shape: sizes };
  }

  /** `torch.empty(shape).uniform_(low, high)`: uniform in [low, high); by default what `torch.rand` draws. */
  uniform(
    shape: readonly number[],
    options: UniformOptions & { dtype: 'float64' },
  ): Tensor<ResultArray<Float64Array>>;
  uniform(
    shape: readonly number[],
    options?: UniformOptions & { dtype?: 'float32' },
  ): Tensor<ResultArray<Float32Array>>;
  uniform(shape: readonly number[], options?: UniformOptions): Tensor<ResultArray<FloatArray>>;
  uniform(shape: readonly number[], options?: UniformOptions): Tensor<FloatArray> {
    const { low = 0, high = 1, dtype } = UNIFORM_OPTIONS.read(options);
    const sizes = drawnShape(shape);
    const precision = checkDType(dtype);
    if (checkFinite(low, 'low', precision) > checkFinite(high, 'high', precision)) {
      throw outOfRange(`low and high should be in order, got ${low} and ${high}`);
    }
    if (!isFiniteIn(precision, high - low)) {
      throw outOfRange(`high - low should be finite in ${precision}, got ${low} and ${high}`);
    }
    const float64 = precision === 'float64';
    return { data: addon().uniform(this.#handle, sizes, low, high, float64), shape: sizes };
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'Generator';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    return inspected('Generator', { seed: this.#seed }, how);
  }
}

function drawnShape(shape: readonly number[]): number[] {
  const sizes = sizesOf(shape, 'shape');
  elementCount(sizes, 'shape');
  return sizes;
}

export function toSeed(seed: unknown): bigint {
  if (typeof seed !== 'number' && typeof seed !== 'bigint') {
    throw wrongType(`seed should be a number or a bigint, got ${describe(seed)}`);
  }
  if (typeof seed === 'number' && !Number.isSafeInteger(seed)) {
    throw outOfRange(`seed should be a whole number, got ${seed}`);
  }
  const whole = BigInt(seed);
  if (whole < 0n || whole >= 1n << 64n) throw outOfRange(`seed should be in [0, 2⁶⁴), got ${seed}`);
  return whole;
}
