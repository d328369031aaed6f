/**
 * Hugging Face's safetensors (https://huggingface.co/docs/safetensors): the length of a JSON header in 8 bytes, the
 * header, then the elements of the tensors, little-endian and without gaps.
 */
import { endianness } from 'node:os';
import { allocated, numel, type TypedArray } from '../../arrays.ts';
import { damaged, unsupported } from './failure.ts';
import { bfloat16, float16 } from './half.ts';
import { asCount, asList, asObject, asString, type Json, parseJson } from './json.ts';
import type { ReadTensor } from './read-tensor.ts';
import { READ_LIMITS, type Reading, type ReadLimits } from './reading.ts';
import { type FileSource, readSource } from './source.ts';
import { copyBytes } from './turns.ts';

/** The format's own limit. */
export const LARGEST_HEADER = 100_000_000;

interface Kind {
  size: number;
  make(length: number): TypedArray;
  get(view: DataView, at: number): number | bigint;
  bytes?: 'bool' | 'uint8';
}

/** Types without a typed array of their own are read into one that holds all their values. */
const KINDS: Readonly<Record<string, Kind>> = {
  F64: { size: 8, make: (n) => allocated(Float64Array, n), get: (v, at) => v.getFloat64(at, true) },
  F32: { size: 4, make: (n) => allocated(Float32Array, n), get: (v, at) => v.getFloat32(at, true) },
  F16: { size: 2, make: (n) => allocated(Float32Array, n), get: (v, at) => float16(v.getUint16(at, true)) },
  BF16: { size: 2, make: (n) => allocated(Float32Array, n), get: (v, at) => bfloat16(v.getUint16(at, true)) },
  I64: { size: 8, make: (n) => allocated(BigInt64Array, n), get: (v, at) => v.getBigInt64(at, true) },
  U32: { size: 4, make: (n) => allocated(BigInt64Array, n), get: (v, at) => BigInt(v.getUint32(at, true)) },
  I32: { size: 4, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getInt32(at, true) },
  U16: { size: 2, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getUint16(at, true) },
  I16: { size: 2, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getInt16(at, true) },
  U8: { size: 1, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getUint8(at), bytes: 'uint8' },
  I8: { size: 1, make: (n) => allocated(Int32Array, n), get: (v, at) => v.getInt8(at) },
  BOOL: {
    size: 1,
    make: (n) => allocated(Int32Array, n),
    get: (v, at) => (v.getUint8(at) === 0 ? 0 : 1),
    bytes: 'bool',
  },
};

/** Types whose bytes are those of the typed array. */
const DIRECT: ReadonlySet<string> = new Set(['F64', 'F32', 'I64', 'I32']);

/**
 * The arrays of a safetensors file by name, as models take them for `params`. Half precision (`F16`, `BF16`) becomes
 * `Float32Array`, which holds it exactly; small integers become `Int32Array`.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` for a file that is missing, damaged or beyond the limits
 */
export async function loadSafetensors(
  source: FileSource,
  limits?: ReadLimits,
): Promise<Record<string, TypedArray>> {
  const tensors = await loadSafetensorsWithShapes(source, READ_LIMITS.read(limits));
  return Object.fromEntries(Object.entries(tensors).map(([name, { data }]) => [name, data]));
}

/** As {@link loadSafetensors}, with the shapes. */
export function loadSafetensorsWithShapes(
  source: FileSource,
  limits?: ReadLimits,
): Promise<Record<string, ReadTensor>> {
  return readSource(source, 'the safetensors file', parseSafetensors, limits);
}

async function parseSafetensors(bytes: Uint8Array, reading: Reading): Promise<Record<string, ReadTensor>> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw damaged('it ends before its header');
  const length = view.getBigUint64(0, true);
  if (length > BigInt(Math.min(LARGEST_HEADER, bytes.length - 8))) {
    throw damaged(`its header should be ${length} bytes long, which it is not`);
  }
  const start = 8 + Number(length);
  const header = await parseJson(bytes.subarray(8, start), 'its header', reading);
  const entries = Object.entries(header).filter(([name]) => name !== '__metadata__');
  const data = new DataView(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
  const ranges = entries.map(([name, entry]) => range(asObject(entry, name), name));
  checkCover(ranges, data.byteLength);
  const tensors: [string, ReadTensor][] = [];
  for (const [index, [name, entry]] of entries.entries())
    tensors.push([name, await read(asObject(entry, name), name, ranges[index]!, data, reading)]);
  return Object.fromEntries(tensors);
}

interface Range {
  name: string;
  begin: number;
  end: number;
}

function range(entry: Json, name: string): Range {
  const offsets = asList(entry.data_offsets, `the offsets of ${name}`);
  if (offsets.length !== 2) throw damaged(`${name} has ${offsets.length} offsets instead of 2`);
  const [begin, end] = offsets.map((offset) => asCount(offset, `an offset of ${name}`)) as [number, number];
  return { name, begin, end };
}

/** The format allows neither gaps nor overlaps, in which other data could hide. */
function checkCover(ranges: readonly Range[], length: number): void {
  let position = 0;
  for (const { name, begin, end } of [...ranges].sort((a, b) => a.begin - b.begin || a.end - b.end)) {
    if (begin !== position || end < begin)
      throw damaged(`the data of ${name} overlaps other data or leaves a gap`);
    position = end;
  }
  if (position !== length)
    throw damaged(`its tensors need ${position} bytes of data, but there are ${length}`);
}

/** Elements that are read in a fraction of a slice. */
const PIECE = 2 ** 15;

async function read(
  entry: Json,
  name: string,
  { begin, end }: Range,
  data: DataView,
  reading: Reading,
): Promise<ReadTensor> {
  const type = asString(entry.dtype, `the type of ${name}`);
  const kind = Object.hasOwn(KINDS, type) ? KINDS[type] : undefined;
  if (kind === undefined) throw unsupported(`${name} has the type ${type}, which is not supported`);
  const shape = asList(entry.shape, `the shape of ${name}`).map((size) => asCount(size, `a size of ${name}`));
  const count = numel(shape);
  if (count * kind.size !== end - begin) {
    throw damaged(
      `${name} has ${end - begin} bytes, its shape [${shape.join(', ')}] needs ${count * kind.size}`,
    );
  }
  reading.take(count * Math.max(4, kind.size), name);
  const array = kind.make(count);
  if (DIRECT.has(type) && endianness() === 'LE') {
    const from = new Uint8Array(data.buffer, data.byteOffset + begin, end - begin);
    await copyBytes(from, new Uint8Array(array.buffer), reading);
    return { data: array, shape };
  }
  for (let i = 0; i < count; ++i) {
    array[i] = kind.get(data, begin + i * kind.size);
    if (i % PIECE === PIECE - 1) await reading.pass();
  }
  return { data: array, shape, ...(kind.bytes !== undefined && { bytes: kind.bytes }) };
}
