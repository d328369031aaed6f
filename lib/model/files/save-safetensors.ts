/** Writes what safetensors.ts reads. */
import { checkTypedArray, describe, sizesOf, type Tensor, type TypedArray, tensor } from '../../arrays.ts';
import { outOfRange, TorchCurvatureError, wrongType } from '../../errors.ts';
import { isRevoked, kindOf, lengthOf, listOf } from '../../foreign.ts';
import { OptionNames, record } from '../../options.ts';
import { LARGEST_HEADER } from './safetensors.ts';
import { checkPath, littleEndian, writeWhole } from './write-file.ts';

/** Of `saveSafetensors`. */
export interface SaveSafetensorsOptions {
  /** Whose parameters flat arrays are: they are stored in its shapes, as PyTorch's `load_state_dict` needs them. */
  model?: { readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[] };
  /** Words to keep with the file. */
  metadata?: Readonly<Record<string, string>>;
}

const OPTIONS = new OptionNames<SaveSafetensorsOptions>({ model: true, metadata: true });

const TYPES: Readonly<Record<string, string>> = {
  Float64Array: 'F64',
  Float32Array: 'F32',
  BigInt64Array: 'I64',
  Int32Array: 'I32',
  Uint8Array: 'U8',
};

/** Large elements first, so that all are aligned; then by name: the order, and the bytes, of Hugging Face's library. */
const ORDER = ['I64', 'F64', 'F32', 'I32', 'U8'];

/**
 * Writes arrays by name to a safetensors file, as `loadSafetensors` and Hugging Face's library read it: tensors, or flat
 * arrays, which have the shape [n] unless `model` knows their name. A `Uint8Array` is written as bytes (`U8`), which are read
 * back as an `Int32Array`. The file is there as a whole or not at all: whoever reads it meanwhile finds what was there before.
 *
 * @throws TypeError, RangeError for what is no tensor, or larger than the format or its readers allow, and where the file
 * cannot be written: the `cause` is then the error of Node.js
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH`, `ERR_DTYPE_MISMATCH`, `ERR_DETACHED_BUFFER`
 */
export async function saveSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor | TypedArray>>,
  options?: SaveSafetensorsOptions,
): Promise<void> {
  checkPath(path);
  const { model, metadata } = OPTIONS.read(options);
  const shapes = shapesOf(model);
  const entries: Record<string, object> = Object.create(null);
  if (metadata !== undefined) entries.__metadata__ = words(metadata);
  const stored = Object.entries(record(tensors, 'tensors')).map(([name, value]) => {
    checkUnicode(name, 'the name of a tensor');
    if (name === '__metadata__')
      throw outOfRange("'__metadata__' is no name of a tensor: see the option metadata");
    const { data, shape } = named(name, value, shapes.get(name));
    return { name, dtype: TYPES[kindOf(data)]!, shape, bytes: littleEndian(data) };
  });
  stored.sort((a, b) => ORDER.indexOf(a.dtype) - ORDER.indexOf(b.dtype) || (a.name < b.name ? -1 : 1));
  let begin = 0;
  for (const { name, dtype, shape, bytes } of stored) {
    const end = begin + bytes.length;
    entries[name] = { dtype, shape, data_offsets: [begin, end] };
    begin = end;
  }
  await writeWhole(path, [framed(JSON.stringify(entries)), ...stored.map(({ bytes }) => bytes)]);
}

/** By name. */
function shapesOf(model: SaveSafetensorsOptions['model']): ReadonlyMap<string, readonly number[]> {
  if (model === undefined) return new Map();
  const { parameters } = record(model, 'model') as typeof model;
  return new Map(
    listOf(parameters, 'model.parameters').map((each) => {
      const { name, shape } = record(each, 'a parameter of model') as (typeof parameters)[number];
      if (typeof name !== 'string')
        throw wrongType(`the name of a parameter of model should be a string, got ${describe(name)}`);
      return [name, sizesOf(shape, `the shape of ${name}`)];
    }),
  );
}

function named(name: string, value: unknown, shape: readonly number[] | undefined): Tensor {
  try {
    if (!ArrayBuffer.isView(value)) {
      const { data, shape } = record(value, 'it') as Tensor;
      checkTypedArray(data, 'it.data', true);
      return tensor(data, shape);
    }
    checkTypedArray(value, 'it', true);
    return tensor(value, shape ?? [lengthOf(value)]);
  } catch (error) {
    throw about(name, error);
  }
}

/** An error of ours with the name of the tensor; what the caller's own code threw as it is. */
function about(name: string, error: unknown): unknown {
  if (isRevoked(error)) return error;
  if (error instanceof TorchCurvatureError)
    return new TorchCurvatureError(error.code, `${name}: ${error.message}`);
  if ((error as { code?: unknown } | undefined)?.code !== 'ERR_INVALID_ARGUMENT') return error;
  const { message } = error as Error;
  return error instanceof RangeError ? outOfRange(`${name}: ${message}`) : wrongType(`${name}: ${message}`);
}

function words(metadata: unknown): Record<string, string> {
  const entries = Object.entries(record(metadata, 'metadata'));
  for (const [name, word] of entries) {
    checkUnicode(name, 'a name in metadata');
    if (typeof word !== 'string')
      throw wrongType(`metadata.${name} should be a string, got ${describe(word)}`);
    checkUnicode(word, `metadata.${name}`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

/** Half of a character, as JavaScript's strings may hold, is no text that other readers of JSON take. */
function checkUnicode(text: string, name: string): void {
  if (/\p{Surrogate}/u.test(text)) {
    throw outOfRange(`${name} should be Unicode text, got half of a character in ${JSON.stringify(text)}`);
  }
}

/** The header behind its length, filled up so that the data begin at a multiple of 8 bytes. */
function framed(header: string): Uint8Array {
  const text = Buffer.from(header);
  const length = Math.ceil(text.length / 8) * 8;
  if (length > LARGEST_HEADER)
    throw outOfRange(`the names and shapes take ${length} bytes; ${LARGEST_HEADER} are the most`);
  const bytes = Buffer.alloc(8 + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length));
  bytes.set(text, 8);
  return bytes;
}
