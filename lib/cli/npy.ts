/** NumPy's `.npy` files, read and written as the package does. */
import { readFile } from 'node:fs/promises';
import type { FloatArray } from '../arrays.ts';
import { npyOf, npyParts } from '../model/files/npy.ts';
import type { ReadTensor } from '../model/files/read-tensor.ts';
import { RunFailure } from './failure.ts';
import { writeResult } from './write-file.ts';

/**
 * As `loadNpy`, also from a pipe.
 *
 * @throws RunFailure that names the file when it cannot be read; TorchCurvatureError as `loadNpy`
 */
export async function readNpy(path: string): Promise<ReadTensor> {
  const file = await readFile(path).catch((error: NodeJS.ErrnoException) => {
    const reason = error.code === 'EISDIR' ? `EISDIR: ${path} is a folder` : error.message;
    throw new RunFailure(reason, { cause: error });
  });
  return npyOf(file, path);
}

export async function writeNpy(path: string, data: FloatArray, shape: readonly number[]): Promise<void> {
  await writeResult(path, Buffer.concat(npyParts({ data, shape })));
}
