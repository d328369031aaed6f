/** NumPy's `.npy` files, as the arrays of this library. */
import { readFile } from 'node:fs/promises';
import { dump, parse } from 'npyjs';
import { numel } from '../arrays.ts';
import { RunFailure } from './failure.ts';
import { writeResult } from './write-file.ts';

const READABLE = { f4: Float32Array, f8: Float64Array, i4: Int32Array, i8: BigInt64Array } as const;

export interface NpyTensor {
  data: Float32Array | Float64Array | Int32Array | BigInt64Array;
  shape: number[];
}

/**
 * Reads a little-endian float32, float64, int32 or int64 array in row-major order.
 *
 * @throws RunFailure that names the file when it is missing, truncated, longer than its header says, or of another kind
 */
export async function readNpy(path: string): Promise<NpyTensor> {
  const file = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'EISDIR' ? `EISDIR: ${path} is a folder` : error.message;
    throw new RunFailure(reason, { cause: error });
  });
  return parseNpy(file, path);
}

/** The array in the content of a file; `path` is what messages call it. Throws as `readNpy`. */
export function parseNpy(file: Uint8Array, path: string): NpyTensor {
  const bytes = new Uint8Array(file).buffer; // a copy: a Buffer may be a part of a larger one
  let array: ReturnType<typeof parse>;
  try {
    array = parse(bytes, { convertFloat16: false });
  } catch (error) {
    // Too short for its header, or for a whole number of elements, ends in a RangeError of the array's constructor.
    const archive = file[0] === 0x50 && file[1] === 0x4b;
    const reason = archive
      ? 'it is an archive; save one array by itself with numpy.save'
      : error instanceof RangeError
        ? 'it is truncated or damaged'
        : (error as Error).message;
    throw new RunFailure(`${path}: not a readable .npy file: ${reason}`, { cause: error });
  }
  const { data, shape, dtype, fortranOrder } = array;
  const expected = READABLE[dtype as keyof typeof READABLE];
  if (expected === undefined || !(data instanceof expected)) {
    const kinds = Object.keys(READABLE).join(', ');
    throw new RunFailure(`${path}: elements of type ${dtype} are not supported; expected one of ${kinds}`);
  }
  if (fortranOrder && shape.length > 1) {
    throw new RunFailure(`${path}: column-major; save it with numpy.ascontiguousarray first`);
  }
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new RunFailure(`${path}: not a readable .npy file: its shape is damaged`);
  }
  const length = numel(shape);
  if (data.length !== length) {
    throw new RunFailure(
      `${path}: truncated or damaged: shape (${shape.join(', ')}) needs ${length} elements, ${data.length} are there`,
    );
  }
  return { data, shape };
}

export async function writeNpy(
  path: string,
  data: Float32Array | Float64Array,
  shape: number[],
): Promise<void> {
  await writeResult(path, new Uint8Array(dump(data, shape)));
}
