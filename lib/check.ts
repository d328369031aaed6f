/** The one place where what callers pass is checked. What is behind it trusts its arguments. */
import {
  checkTypedArray,
  type DType,
  describe,
  describeShape,
  dtypeOf,
  elementCount,
  type FloatArray,
  isFloatArray,
  numel,
  sizesOf,
  type Tensor,
} from './arrays.ts';
import { outOfRange, TorchCurvatureError, wrongType } from './errors.ts';
import { isRevoked, lengthOf } from './foreign.ts';
import { OptionNames, record } from './options.ts';
import { HeldTensor } from './problem/held-tensor.ts';
import { plural } from './words.ts';

export const ENGINES = ['auto', 'fused', 'autograd'] as const;
/**
 * Which implementation computes: `'autograd'` takes any model, `'fused'` chains of linear layers and some element-wise
 * functions (those under "The fused engine" in the page of the mathematics) on the CPU, `'auto'` the faster one that can. What
 * `'fused'` cannot compute is refused (`ERR_UNSUPPORTED_OP`). Without derivatives (`forward`, `perSampleLosses`) there is one
 * implementation.
 */
export type Engine = (typeof ENGINES)[number];

/** Where a result goes. */
export interface OutOption<Out extends FloatArray = FloatArray> {
  /** Receives the result when given; of the kind of the parameters and the length of the result. */
  out?: Out;
}

/** Options that all products share. */
export interface ProductOptions<Out extends FloatArray = FloatArray> extends OutOption<Out> {
  /** `'cpu'` (the default), `'cuda'` or `'cuda:N'`. */
  device?: string;
  /** Rows of the batch at once, which bounds the memory; by default the engine chooses. */
  chunkSize?: number;
  /** Intra-op threads of this product, at most as many as the process has cores; by default those of `configure`. */
  threads?: number;
  /** Which implementation computes; `'auto'` by default. Results agree to rounding. */
  engine?: Engine;
  /** Stops the product between chunks; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** For the tables of those that have more. */
export const PRODUCT_NAMES = {
  device: true,
  chunkSize: true,
  threads: true,
  engine: true,
  signal: true,
  out: true,
} as const;
export const PRODUCT_OPTIONS = new OptionNames<ProductOptions>(PRODUCT_NAMES);

export interface CheckedOptions {
  device: string;
  chunkSize: number;
  threads: number;
  engine: Engine;
  signal: AbortSignal | undefined;
}

/** The values of options whose names were checked before. */
export function checkOptions({
  device,
  chunkSize,
  threads,
  engine,
  signal,
}: Omit<ProductOptions, 'out'>): CheckedOptions {
  return {
    device: checkDevice(device),
    chunkSize: chunkSize === undefined ? 0 : positive(chunkSize, 'chunkSize'),
    threads: threads === undefined ? 0 : positive(threads, 'threads', MAX_THREADS),
    engine: checkOneOf(engine ?? 'auto', ENGINES, 'engine'),
    signal: checkSignal(signal),
  };
}

/** More threads than any machine has cores are a mistake. Of those up to here, the addon takes as many as there are cores. */
export const MAX_THREADS = 1024;

export function checkDevice(device: unknown): string {
  if (device === undefined) return 'cpu';
  if (typeof device !== 'string') throw wrongType(`device should be a string, got ${describe(device)}`);
  if (!/^(cpu|cuda(:\d{1,3})?)$/.test(device)) {
    throw new TorchCurvatureError(
      'ERR_DEVICE_UNAVAILABLE',
      `device should be 'cpu', 'cuda' or 'cuda:N', got ${describe(device)}`,
    );
  }
  return device;
}

export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (isRevoked(signal)) throw wrongType(`signal should be an AbortSignal, got ${describe(signal)}`);
  // By what it can do: signals of other realms (Jest, vm contexts) are no instances of this one's class.
  const { aborted, addEventListener, throwIfAborted } = Object(signal) as Partial<AbortSignal>;
  if (
    typeof aborted !== 'boolean' ||
    typeof addEventListener !== 'function' ||
    typeof throwIfAborted !== 'function'
  )
    throw wrongType(`signal should be an AbortSignal, got ${describe(signal)}`);
  return signal as AbortSignal;
}

export function checkDType(dtype: unknown): DType {
  return checkOneOf(dtype ?? 'float32', ['float32', 'float64'] as const, 'dtype');
}

/** `hint` may say of another word what to write instead. */
export function checkOneOf<T extends string>(
  value: unknown,
  known: readonly T[],
  name: string,
  hint?: (given: string) => string | undefined,
): T {
  const found = known.find((each) => each === value);
  if (found !== undefined) return found;
  const expected = `${name} should be one of ${known.map((each) => `'${each}'`).join(', ')}, got ${describe(value)}`;
  if (typeof value !== 'string') throw wrongType(expected);
  const instead = hint?.(value);
  throw outOfRange(instead === undefined ? expected : `${expected}; ${instead}`);
}

export function positive(value: unknown, name: string, most?: number): number {
  return wholeNumber(value, name, 1, most);
}

export function wholeNumber(
  value: unknown,
  name: string,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw wrongType(`${name} should be a number, got ${describe(value)}`);
  if (!Number.isSafeInteger(value) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
    throw outOfRange(`${name} should be a whole number ${range}, got ${value}`);
  }
  return value;
}

/** A finite number, also in the precision that it is used in: libtorch refuses others without their name. */
export function checkFinite(value: unknown, name: string, dtype: DType = 'float64'): number {
  if (typeof value !== 'number') throw wrongType(`${name} should be a number, got ${describe(value)}`);
  if (!Number.isFinite(value)) throw outOfRange(`${name} should be finite, got ${value}`);
  if (!isFiniteIn(dtype, value)) throw outOfRange(`${name} should be finite in ${dtype}, got ${value}`);
  return value;
}

const MOST_FLOAT32 = (2 - 2 ** -23) * 2 ** 127;

export function isFiniteIn(dtype: DType, value: number): boolean {
  return Math.abs(value) <= (dtype === 'float32' ? MOST_FLOAT32 : Number.MAX_VALUE);
}

/** A typed array of floating numbers, of any length. */
export function checkFloats(value: unknown, name: string): FloatArray {
  return checkVector(value, name, isFloatArray(value) ? lengthOf(value) : 0);
}

/** A flat vector of this length, in a precision where one is given: that of `whose`, as messages say. */
export function checkVector(
  value: unknown,
  name: string,
  length: number,
  dtype?: DType,
  whose = 'params are',
): FloatArray {
  if (!isFloatArray(value)) {
    if (ArrayBuffer.isView(value)) {
      throw new TorchCurvatureError(
        'ERR_DTYPE_MISMATCH',
        `${name} should be a Float32Array or a Float64Array, got ${describe(value)}`,
      );
    }
    throw wrongType(`${name} should be a Float32Array or a Float64Array, got ${describe(value)}`);
  }
  checkTypedArray(value, name);
  const given = lengthOf(value);
  if (given !== length) {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `${name} should have ${plural(length, 'element')}, got ${given}`,
    );
  }
  if (dtype !== undefined && dtypeOf(value) !== dtype) {
    throw new TorchCurvatureError(
      'ERR_DTYPE_MISMATCH',
      `${name} should be ${dtype} as ${whose}, got ${describe(value)}`,
    );
  }
  return value;
}

/** Options of a product with something that was prepared before. */
export interface ApplyOptions<Out extends FloatArray = FloatArray> extends OutOption<Out> {
  /** Intra-op threads of this product. */
  threads?: number;
  /** Stops the product between chunks; it rejects with the signal's reason. */
  signal?: AbortSignal;
}

const APPLY_OPTIONS = new OptionNames<ApplyOptions>({ threads: true, signal: true, out: true });

export function checkApplyOptions(options: unknown, length: number, dtype: DType) {
  // The common case by far, in calls that may take microseconds.
  if (options === undefined) return { threads: 0, signal: undefined, out: undefined };
  const { threads, signal, out } = APPLY_OPTIONS.read(options);
  return {
    threads: threads === undefined ? 0 : positive(threads, 'threads', MAX_THREADS),
    signal: checkSignal(signal),
    out: out === undefined ? undefined : checkVector(out, 'out', length, dtype),
  };
}

/** Of what computes a whole matrix or its diagonal. */
export type WholeOptions = Omit<ApplyOptions, 'out'>;

const WHOLE_OPTIONS = new OptionNames<WholeOptions>({ threads: true, signal: true });

export function checkWholeOptions(options: unknown) {
  const { threads, signal } = WHOLE_OPTIONS.read(options);
  return {
    threads: threads === undefined ? 0 : positive(threads, 'threads', MAX_THREADS),
    signal: checkSignal(signal),
  };
}

/** A vector over the outputs: their flat data, or a tensor of their shape. */
export function checkOutputVector(
  value: unknown,
  name: string,
  shape: readonly number[],
  dtype: DType,
): FloatArray {
  const length = numel(shape);
  if (ArrayBuffer.isView(value)) return checkVector(value, name, length, dtype);
  const given = checkTensor(value, name, dtype);
  if (given.shape.length !== shape.length || given.shape.some((size, axis) => size !== shape[axis])) {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `${name} should have the shape ${describeShape(shape)} of the outputs, got ${describeShape(given.shape)}`,
    );
  }
  return checkVector(given.data, `${name}.data`, length, dtype);
}

/** A tensor whose floating elements have the precision of the parameters; of bytes only where these are allowed. */
export function checkTensor(
  value: unknown,
  name: string,
  dtype: DType,
  { bytes = false }: { bytes?: boolean } = {},
): Tensor {
  if (HeldTensor.is(value)) return value.checked(name, dtype);
  const { data, shape: given } = record(value, name) as Tensor;
  checkTypedArray(data, `${name}.data`, bytes);
  const shape = sizesOf(given, `${name}.shape`);
  const count = elementCount(shape, `${name}.shape`);
  const length = lengthOf(data);
  if (length !== count) {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `${name}.data should have ${plural(count, 'element')} for the shape ${describeShape(shape)}, got ${length}`,
    );
  }
  if (isFloatArray(data) && dtypeOf(data) !== dtype) {
    throw new TorchCurvatureError(
      'ERR_DTYPE_MISMATCH',
      `${name} should be ${dtype} as params are, got ${describe(data)}`,
    );
  }
  return { data, shape };
}
