/** The bytes of a file, and its name in messages. */
import { readFile } from 'node:fs/promises';
import { types } from 'node:util';
import { describe } from '../arrays.ts';
import { TorchCurvatureError, wrongType } from '../errors.ts';
import { damaged } from './failure.ts';

/** A path, or the content of a file. */
export type FileSource = string | Uint8Array;

/**
 * Reads a file with `read`; failures name the file.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 */
export async function readSource<T>(
  source: FileSource,
  kind: string,
  read: (bytes: Uint8Array) => T | Promise<T>,
): Promise<T> {
  if (typeof source !== 'string' && !types.isUint8Array(source)) {
    throw wrongType(`${kind} should be a path or a Uint8Array, got ${describe(source)}`);
  }
  try {
    return await read(typeof source === 'string' ? await contentOf(source) : source);
  } catch (error) {
    if (!(error instanceof TorchCurvatureError)) throw error;
    const name = typeof source === 'string' ? source : kind;
    throw new TorchCurvatureError(error.code, `${name}: ${error.message}`, { cause: error });
  }
}

async function contentOf(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw damaged((error as Error).message, error);
  }
}
