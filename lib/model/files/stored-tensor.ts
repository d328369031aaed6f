/** Tensors as model files store them: bytes of a storage, and how a tensor lies in it. */
import { endianness } from 'node:os';
import type { RawTensor, TypedArray } from '../../addon/values.ts';
import { allocated, numel } from '../../arrays.ts';
import { damaged, unsupported } from './failure.ts';
import { bfloat16, float16 } from './half.ts';
import type { Reading } from './reading.ts';
import { copyBytes } from './turns.ts';

/** By their numbers in libtorch's `ScalarType`. */
export const SCALAR_TYPES = [
  'uint8',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'float32',
  'float64',
  'complex32',
  'complex64',
  'complex128',
  'bool',
] as const;

export type ElementType = (typeof SCALAR_TYPES)[number] | 'bfloat16' | 'unknown';

export interface TensorLayout {
  type: ElementType;
  shape: readonly number[];
  /** In elements, as the offset. */
  strides: readonly number[];
  offset: number;
}

export interface StoredTensor extends TensorLayout {
  bytes: Uint8Array;
  /** Whether it is an `nn.Parameter`, and no buffer. */
  isParameter: boolean;
  requiresGrad: boolean;
  /** Equal for tensors that are the same memory: tied parameters. */
  identity: string;
  /** Equal for tensors in the same memory: views of one another. */
  storage: string;
}

export function scalarTypeNumber(type: ElementType): number {
  return SCALAR_TYPES.indexOf(type as (typeof SCALAR_TYPES)[number]);
}

/** Types without a typed array of the addon's are read into one that holds their values. */
const READERS: Partial<
  Record<
    ElementType,
    { size: number; make: (n: number) => TypedArray; get: (v: DataView, at: number) => number | bigint }
  >
> = {
  float32: { size: 4, make: (n) => allocated(Float32Array, n), get: (v, at) => v.getFloat32(at, true) },
  float64: { size: 8, make: (n) => allocated(Float64Array, n), get: (v, at) => v.getFloat64(at, true) },
  float16: {
    size: 2,
    make: (n) => allocated(Float32Array, n),
    get: (v, at) => float16(v.getUint16(at, true)),
  },
  bfloat16: {
    size: 2,
    make: (n) => allocated(Float32Array, n),
    get: (v, at) => bfloat16(v.getUint16(at, true)),
  },
  int64: { size: 8, make: (n) => allocated(BigInt64Array, n), get: (v, at) => v.getBigInt64(at, true) },
  int32: { size: 4, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getInt32(at, true) },
  int16: { size: 2, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getInt16(at, true) },
  int8: { size: 1, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getInt8(at) },
  uint8: { size: 1, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getUint8(at) },
  bool: { size: 1, make: (n) => allocated(Int32Array, n), get: (v, at) => (v.getUint8(at) === 0 ? 0 : 1) },
};

/** In bytes. */
export function elementSize(type: ElementType): number {
  const part = partsOf(type);
  return part === undefined ? (READERS[type]?.size ?? 2) : 2 * elementSize(part);
}

export function isHalf(type: ElementType): boolean {
  return type === 'float16' || type === 'bfloat16';
}

/** Types whose values the addon holds as they are; the others come as `Int32Array`, halves as `Float32Array`. */
export function isDirect(type: ElementType): boolean {
  return type === 'float32' || type === 'float64' || type === 'int64' || type === 'int32';
}

/** Of complex numbers: their parts as pairs along one more axis, the last; others as they are. */
export function asPairs(tensor: StoredTensor): StoredTensor {
  const type = partsOf(tensor.type);
  if (type === undefined) return tensor;
  const { shape, strides, offset } = tensor;
  return {
    ...tensor,
    type,
    shape: [...shape, 2],
    strides: [...strides.map((stride) => 2 * stride), 1],
    offset: 2 * offset,
  };
}

/** What the parts of complex numbers are; `undefined` of other types. */
export function partsOf(type: ElementType): 'float32' | 'float64' | undefined {
  if (type === 'complex64') return 'float32';
  return type === 'complex128' ? 'float64' : undefined;
}

function isContiguous({ shape, strides }: TensorLayout): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; --axis) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** How many elements a tensor has, once it is sure that its bytes hold them. */
export function countOf(tensor: StoredTensor, name: string): number {
  const { type, shape, strides, offset, bytes } = tensor;
  const reader = READERS[type];
  if (reader === undefined) {
    throw unsupported(`${name} has the precision ${type}; only float32 and float64 are supported`);
  }
  const count = numel(shape);
  if (count === 0) return 0;
  const last = shape.reduce((at, size, axis) => at + (size - 1) * strides[axis]!, offset);
  // A stride of 0 lets a few bytes stand for any number of elements.
  if (!Number.isSafeInteger(last) || (last + 1) * reader.size > bytes.length || count > bytes.length) {
    throw damaged(`${name} is larger than its ${bytes.length} bytes of data`);
  }
  return count;
}

/** The tensor's elements, row-major. */
export async function elements(tensor: StoredTensor, name: string, reading: Reading): Promise<RawTensor> {
  const count = countOf(tensor, name);
  const { make, size } = READERS[tensor.type]!;
  // The program keeps a copy.
  reading.take(2 * count * Math.max(4, size), name);
  const data = make(count);
  await readElements(tensor, data, reading);
  return { data, shape: tensor.shape };
}

/** Elements that are read in a fraction of a slice. */
const PIECE = 2 ** 14;

/** Fills `data`, of the kind that `elements` gives or of other floating numbers, and of `countOf` elements. */
export async function readElements(tensor: StoredTensor, data: TypedArray, reading: Reading): Promise<void> {
  const { type, shape, strides, offset, bytes } = tensor;
  const { size, get } = READERS[type]!;
  const same = isDirect(type) && data.BYTES_PER_ELEMENT === size;
  if (same && endianness() === 'LE' && isContiguous(tensor)) {
    const target = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    await copyBytes(bytes.subarray(offset * size, (offset + data.length) * size), target, reading);
    return;
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const index = new Array<number>(shape.length).fill(0);
  let position = offset;
  for (let i = 0; i < data.length; ++i) {
    data[i] = get(view, position * size);
    for (let axis = shape.length - 1; axis >= 0; --axis) {
      position += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      position -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
    if (i % PIECE === PIECE - 1) await reading.pass();
  }
}
