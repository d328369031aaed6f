/**
 * NumPy's `.npy` files (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html): a magic word, a version,
 * the length of a header, the header as a literal of a Python dict, then the elements.
 */
import { allocated, checkTypedArray, numel, type Tensor, type TypedArray, tensor } from '../../arrays.ts';
import { checkFloats } from '../../check.ts';
import { kindOf, lengthOf } from '../../foreign.ts';
import { noOptions, record } from '../../options.ts';
import { damaged, unsupported } from './failure.ts';
import { float16 } from './half.ts';
import type { ReadTensor } from './read-tensor.ts';
import { READ_LIMITS, type Reading, type ReadLimits } from './reading.ts';
import { type FileSource, readSource } from './source.ts';
import { checkPath, littleEndian, writeWhole } from './write-file.ts';

/** `\x93NUMPY` */
const MAGIC = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59);
/** NumPy's own headers have some 100 bytes. */
const LONGEST_HEADER = 2 ** 16;
const ALIGNMENT = 64;
const GROWING_DIGITS = 21;
/** As many axes as NumPy has. */
const MOST_AXES = 64;

interface Kind {
  make(length: number): TypedArray;
  get(view: DataView, at: number, little: boolean): number | bigint;
  bytes?: 'bool' | 'uint8';
}

const floats32 = (n: number) => allocated(Float32Array, n);
const integers32 = (n: number) => allocated(Int32Array, n);
const integers64 = (n: number) => allocated(BigInt64Array, n);

/** By kind and size in bytes; types without a typed array of their own are read into one that holds all their values. */
const KINDS: Readonly<Record<string, Kind>> = {
  f8: { make: (n) => allocated(Float64Array, n), get: (v, at, little) => v.getFloat64(at, little) },
  f4: { make: floats32, get: (v, at, little) => v.getFloat32(at, little) },
  f2: { make: floats32, get: (v, at, little) => float16(v.getUint16(at, little)) },
  i8: { make: integers64, get: (v, at, little) => v.getBigInt64(at, little) },
  u4: { make: integers64, get: (v, at, little) => BigInt(v.getUint32(at, little)) },
  i4: { make: integers32, get: (v, at, little) => v.getInt32(at, little) },
  u2: { make: integers32, get: (v, at, little) => v.getUint16(at, little) },
  i2: { make: integers32, get: (v, at, little) => v.getInt16(at, little) },
  u1: { make: integers32, get: (v, at) => v.getUint8(at), bytes: 'uint8' },
  i1: { make: integers32, get: (v, at) => v.getInt8(at) },
  b1: { make: integers32, get: (v, at) => (v.getUint8(at) === 0 ? 0 : 1), bytes: 'bool' },
};

/**
 * The array in a `.npy` file, row-major. Half precision becomes `Float32Array`, which holds it exactly; small integers and
 * booleans become `Int32Array`. Arrays of objects, which are pickles, and of complex or structured elements are refused.
 *
 * @param source a path, or the file's bytes
 * @throws TypeError when `source` is neither a path nor bytes
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` for a file that is missing, damaged or beyond the limits, `ERR_UNSUPPORTED_OP`
 * for elements of another type
 */
export async function loadNpy(source: FileSource, limits?: ReadLimits): Promise<Tensor> {
  const { data, shape } = await readSource(source, 'the .npy file', parseNpy, READ_LIMITS.read(limits));
  return { data, shape };
}

/** `loadNpy` of bytes that were read already; `name` is what messages call them. */
export function npyOf(bytes: Uint8Array, name: string): Promise<ReadTensor> {
  return readSource(bytes, name, parseNpy);
}

/**
 * Writes a `.npy` file: a tensor, or a flat vector as [n]. A `Uint8Array` is written as bytes, which are read back as an
 * `Int32Array`, as those of other files are. The file is there as a whole or not at all: whoever reads it meanwhile
 * finds what was there before.
 *
 * @throws TypeError, TorchCurvatureError `ERR_SHAPE_MISMATCH`, `ERR_DTYPE_MISMATCH`, `ERR_DETACHED_BUFFER`
 * @throws RangeError (`ERR_INVALID_ARGUMENT`) where the file cannot be written; its `cause` is the error of Node.js
 */
export async function saveNpy(path: string, array: Tensor | Float32Array | Float64Array): Promise<void>;
export async function saveNpy(
  path: string,
  array: Tensor | Float32Array | Float64Array,
  ...rest: readonly unknown[]
): Promise<void> {
  noOptions(rest, 'saveNpy');
  checkPath(path);
  await writeWhole(path, npyParts(tensorOf(array)));
}

/** What a `.npy` file of a tensor consists of, in order. */
export function npyParts({ data, shape }: Tensor): Uint8Array[] {
  return [header(data, shape), littleEndian(data)];
}

/** A tensor as it is, checked; a flat vector as one with a single axis. */
function tensorOf(array: Tensor | Float32Array | Float64Array): Tensor {
  if (!ArrayBuffer.isView(array)) {
    const { data, shape } = record(array, 'array') as Tensor;
    checkTypedArray(data, 'array.data', true);
    return tensor(data, shape);
  }
  const data = checkFloats(array, 'array');
  return { data, shape: [lengthOf(data)] };
}

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  Float64Array: '<f8',
  Float32Array: '<f4',
  BigInt64Array: '<i8',
  Int32Array: '<i4',
  Uint8Array: '|u1',
};

function header(data: TypedArray, shape: readonly number[]): Uint8Array {
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  const description = DESCRIPTIONS[kindOf(data)];
  const text = `{'descr': '${description}', 'fortran_order': False, 'shape': (${sizes}), }`;
  // As NumPy: room for the first axis to grow, and the elements begin at a multiple of 64 bytes, for whoever maps the file.
  const growth = shape.length === 0 ? 0 : GROWING_DIGITS - String(shape[0]).length;
  const used = MAGIC.length + 4 + text.length + growth + 1;
  const length = used + ALIGNMENT - (used % ALIGNMENT) - MAGIC.length - 4;
  const bytes = Buffer.alloc(MAGIC.length + 4 + length, ' ');
  bytes.set(MAGIC);
  bytes.set([1, 0, length & 0xff, length >> 8], MAGIC.length);
  bytes.write(text, MAGIC.length + 4, 'latin1');
  bytes.write('\n', bytes.length - 1, 'latin1');
  return bytes;
}

async function parseNpy(bytes: Uint8Array, reading: Reading): Promise<ReadTensor> {
  if (bytes[0] === 0x50 && bytes[1] === 0x4b)
    throw damaged('it is an archive; save one array by itself with numpy.save');
  if (bytes.length >= MAGIC.length && !MAGIC.every((each, i) => bytes[i] === each))
    throw damaged('it is not an .npy file');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [major, minor] = bytes.subarray(MAGIC.length);
  if (minor !== undefined && (major! < 1 || major! > 3 || minor !== 0))
    throw unsupported(`version ${major}.${minor} of the format is not supported; expected 1.0, 2.0 or 3.0`);
  // Version 1 has a length of two bytes, versions 2 and 3 of four.
  const [at, start] = bytes[MAGIC.length] === 1 ? [8, 10] : [8, 12];
  if (bytes.length < start) throw damaged('it is truncated: it ends before its header');
  const length = start === 10 ? view.getUint16(at, true) : view.getUint32(at, true);
  if (length > LONGEST_HEADER || start + length > bytes.length)
    throw damaged(`it is truncated or damaged: its header should be ${length} bytes long`);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, length).toString('latin1');
  const { type, shape, columnMajor } = readHeader(text);
  const kind = Object.hasOwn(KINDS, type.slice(1)) ? KINDS[type.slice(1)] : undefined;
  if (kind === undefined || !'<>|='.includes(type[0]!)) {
    const known = Object.keys(KINDS).join(', ');
    throw unsupported(`elements of type ${type.slice(0, 40)} are not supported; expected one of ${known}`);
  }
  const count = numel(shape);
  const size = Number(type.slice(2));
  const data = new DataView(bytes.buffer, bytes.byteOffset + start + length, bytes.length - start - length);
  if (count * size !== data.byteLength) {
    const there = data.byteLength / size;
    throw damaged(
      `it is truncated or damaged: shape (${shape.join(', ')}) needs ${count} elements, ${there} are there`,
    );
  }
  reading.take(count * Math.max(4, size), 'its elements');
  const array = kind.make(count);
  const order = columnMajor && shape.length > 1 ? rowMajor(shape) : undefined;
  for (let i = 0; i < count; i++) {
    array[i] = kind.get(data, (order?.() ?? i) * size, type[0] !== '>');
    if (i % PIECE === PIECE - 1) await reading.pass();
  }
  return { data: array, shape, ...(kind.bytes !== undefined && { bytes: kind.bytes }) };
}

/** Elements that are read in a fraction of a slice. */
const PIECE = 2 ** 15;

/** A string, a name, a whole number (of Python 2, with an L), a sign, or what is none of these. */
const TOKENS = /'([^'\\]*)'|"([^"\\]*)"|(True|False)|(\d+)L?(?!\w)|([{}():,[\]])|\S/g;

type Value = string | boolean | number[];

/** The fields of the dict, a literal of Python's. */
function readHeader(text: string): { type: string; shape: number[]; columnMajor: boolean } {
  const tokens = [...text.matchAll(TOKENS)];
  let next = 0;
  const isNext = (sign: string) => tokens[next]?.[5] === sign;
  const take = (sign: string) => {
    if (!isNext(sign)) throw damaged('its header is damaged');
    next += 1;
  };
  const string = () => {
    const [, single, double] = tokens[next++] ?? [];
    const found = single ?? double;
    if (found === undefined) throw damaged('its header is damaged');
    return found;
  };
  const sizes = () => {
    const shape: number[] = [];
    take('(');
    while (!isNext(')')) {
      const size = Number(tokens[next++]?.[4] ?? Number.NaN);
      if (!Number.isSafeInteger(size) || shape.length === MOST_AXES) throw damaged('its shape is damaged');
      shape.push(size);
      if (!isNext(')')) take(',');
      else if (shape.length === 1 && tokens[next - 1]?.[5] !== ',') throw damaged('its shape is damaged');
    }
    take(')');
    return shape;
  };
  const value = (name: string): Value => {
    if (isNext('[') && name === 'descr')
      throw unsupported('structured elements are not supported; save each field by itself');
    if (isNext('(')) return sizes();
    const truth = tokens[next]?.[3];
    if (truth === undefined) return string();
    next += 1;
    return truth === 'True';
  };

  const fields = new Map<string, Value>();
  take('{');
  while (!isNext('}')) {
    const name = string();
    take(':');
    if (fields.has(name)) throw damaged(`its header has ${name} twice`);
    fields.set(name, value(name));
    if (!isNext('}')) take(',');
  }
  take('}');
  const [type, columnMajor, shape] = ['descr', 'fortran_order', 'shape'].map((name) => fields.get(name));
  const known = typeof type === 'string' && typeof columnMajor === 'boolean' && Array.isArray(shape);
  if (!known || fields.size !== 3 || next !== tokens.length) throw damaged('its header is damaged');
  return { type: /^[a-z]/.test(type) ? `=${type}` : type, shape, columnMajor };
}

/** Where the elements of a row-major array lie in a column-major one, one after the other. */
function rowMajor(shape: readonly number[]): () => number {
  const strides: number[] = [];
  shape.reduce((stride, size) => {
    strides.push(stride);
    return stride * size;
  }, 1);
  const index = new Array<number>(shape.length).fill(0);
  let position = 0;
  return () => {
    const here = position;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      position += strides[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      position -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
    return here;
  };
}
