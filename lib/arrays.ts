/** Flat vectors and tensors: typed arrays with a shape. */
import { types } from 'node:util';
import type { FloatArray, IntegerArray, ResultArray, TypedArray } from './addon/values.ts';
import { outOfRange, TorchCurvatureError, wrongType } from './errors.ts';
import { describe, lengthOf, listOf } from './foreign.ts';
import { plural } from './words.ts';

export { describe } from './foreign.ts';
export type { FloatArray, IntegerArray, ResultArray, TypedArray };

/** Precision of parameters, vectors over them, and results. */
export type DType = 'float32' | 'float64';

/** As many axes as libtorch's kernels take. */
export const MOST_AXES = 64;

/** Row-major data with its shape. */
export interface Tensor<Data extends TypedArray = TypedArray> {
  /** Its length is the product of the sizes. */
  readonly data: Data;
  readonly shape: readonly number[];
}

/** `Float32Array` or `Float64Array`, over any memory: the precision that an array stands for. */
export type ArrayKind<F extends FloatArray> = F extends Float32Array
  ? Float32Array
  : F extends Float64Array
    ? Float64Array
    : never;

/**
 * One array for each parameter, by name; what `loadSafetensors` gives. The arrays must be of floating numbers of one kind;
 * integers are refused where the record is used.
 */
export interface ParameterRecord<F extends FloatArray = FloatArray> {
  readonly [name: string]: F | IntegerArray;
}

/**
 * A vector over the parameters: flat, or one array for each parameter. Results are named, too, as code that is generic over
 * the precision has to be told that they are such arrays.
 */
export type ParameterVector<F extends FloatArray = FloatArray> = F | ParameterRecord<F> | ResultArray<F>;

/** The same type, from which it is not inferred: what an operator has decided before. */
export type Same<F extends FloatArray> = F & {};

/**
 * Makes a tensor from row-major data; `data` is not copied.
 *
 * @throws TypeError when `data` is no typed array of a supported kind or `shape` is no list
 * @throws RangeError when a size is negative, fractional or too large
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when the number of elements is not the product of the sizes,
 * `ERR_DETACHED_BUFFER`
 */
export function tensor<Data extends TypedArray>(data: Data, shape: readonly number[]): Tensor<Data> {
  checkTypedArray(data, 'data', true);
  const sizes = sizesOf(shape, 'shape');
  const expected = elementCount(sizes, 'shape');
  const length = lengthOf(data);
  if (length !== expected) {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `data has ${plural(length, 'element')}, but the shape ${describeShape(sizes)} needs ${expected}`,
    );
  }
  return { data, shape: sizes };
}

/** A copy of a list of sizes, of which each was read once: what is checked is then what is used. */
export function sizesOf(shape: unknown, name: string): number[] {
  return listOf(shape, name, 'a list of sizes', MOST_AXES) as number[];
}

/** The product of sizes that are sure to be some; 1 for the empty shape of a scalar. */
export function numel(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The number of elements of a shape of a caller's, whose sizes it checks. */
export function elementCount(shape: readonly number[], name: string): number {
  for (const size of shape as readonly unknown[]) {
    if (typeof size !== 'number')
      throw wrongType(`${name} should be a list of numbers, got ${describe(size)} in it`);
    if (!Number.isSafeInteger(size) || size < 0) {
      throw outOfRange(`${name} should hold whole numbers of at least 0, got ${size}`);
    }
  }
  // A size of 0 anywhere makes 0 elements, whatever the others multiply to.
  if (shape.includes(0)) return 0;
  const count = numel(shape);
  if (!Number.isSafeInteger(count)) {
    throw outOfRange(`${name} ${describeShape(shape)} has more elements than can be counted`);
  }
  return count;
}

/** Throws unless `value` is a typed array of a supported kind, `bytes` among them, whose memory is there. */
export function checkTypedArray(value: unknown, name: string, bytes = false): asserts value is TypedArray {
  if (
    !types.isFloat32Array(value) &&
    !types.isFloat64Array(value) &&
    !types.isInt32Array(value) &&
    !types.isBigInt64Array(value) &&
    !(bytes && types.isUint8Array(value))
  ) {
    const expected = `a Float32Array, Float64Array, Int32Array${bytes ? ', BigInt64Array or Uint8Array' : ' or BigInt64Array'}`;
    if (ArrayBuffer.isView(value)) {
      throw new TorchCurvatureError(
        'ERR_DTYPE_MISMATCH',
        `${name} should be ${expected}, got ${describe(value)}`,
      );
    }
    throw wrongType(`${name} should be ${expected}, got ${describe(value)}`);
  }
  if (lengthOf(value) === 0 && isDetached(value)) {
    throw new TorchCurvatureError(
      'ERR_DETACHED_BUFFER',
      `${name} has lost its memory: its buffer was transferred elsewhere`,
    );
  }
}

function isDetached(view: TypedArray): boolean {
  try {
    // The constructor is what tells a detached buffer from an empty one in every supported Node, and an array that its
    // buffer has become too short for.
    const type = types.isBigInt64Array(view) ? BigInt64Array : Uint8Array;
    return new type(view as never).length < 0;
  } catch {
    return true;
  }
}

export function isFloatArray(value: unknown): value is FloatArray {
  return types.isFloat32Array(value) || types.isFloat64Array(value);
}

export function dtypeOf(array: FloatArray): DType {
  return types.isFloat64Array(array) ? 'float64' : 'float32';
}

/**
 * An array of zeros.
 *
 * @throws TorchCurvatureError `ERR_OUT_OF_MEMORY` where there is no memory for it
 */
export function allocated<A extends TypedArray>(type: new (length: number) => A, length: number): A {
  try {
    return new type(length);
  } catch (error) {
    const message = `an array of ${length} numbers was asked for, for which there is no memory`;
    throw new TorchCurvatureError('ERR_OUT_OF_MEMORY', message, { cause: error });
  }
}

export function floatArray(dtype: DType, length: number): ResultArray<FloatArray> {
  return dtype === 'float64' ? allocated(Float64Array, length) : allocated(Float32Array, length);
}

/** A copy, by which the methods of the caller's array are not asked. */
export function copyOf(array: FloatArray): FloatArray {
  const copy = floatArray(dtypeOf(array), lengthOf(array));
  copy.set(array);
  return copy;
}

/** Writes to an array of the caller's, whose own methods are not asked. */
export function write(out: FloatArray, values: FloatArray): void {
  Float32Array.prototype.set.call(out, values);
}

/** Of sizes that need not be checked yet: they may be anything. */
export function describeShape(shape: readonly unknown[]): string {
  const shown = shape.map((size) => (/number|string/.test(typeof size) ? size : describe(size)));
  return `[${shown.join(', ')}]`;
}
