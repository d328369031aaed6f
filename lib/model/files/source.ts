/** The bytes of a file, and its name in messages. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { types } from 'node:util';
import { describe } from '../../arrays.ts';
import { TorchCurvatureError, wrongType } from '../../errors.ts';
import { damaged } from './failure.ts';
import { Reading, type ReadLimits } from './reading.ts';
import { copyBytes } from './turns.ts';

/** A path, or the content of a file. */
export type FileSource = string | Uint8Array;

/**
 * Reads a file with `read`, whose bytes nobody else knows; failures name the file. Only regular files are read, within
 * the limits: a pipe would keep a thread of Node.js waiting, and a device never ends.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 * @throws RangeError for a limit that is no positive number
 */
export async function readSource<T>(
  source: FileSource,
  kind: string,
  read: (bytes: Uint8Array, reading: Reading) => Promise<T>,
  limits?: ReadLimits,
): Promise<T> {
  if (typeof source !== 'string' && !types.isUint8Array(source)) {
    throw wrongType(`${kind} should be a path or a Uint8Array, got ${describe(source)}`);
  }
  const reading = new Reading(limits);
  try {
    const bytes =
      typeof source === 'string' ? await contentOf(source, reading) : await copyOf(source, reading);
    return await read(bytes, reading);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_INVALID_ARGUMENT') throw error; // the caller's, not the file's
    const name = typeof source === 'string' ? source : kind;
    // What is no refusal of a reader's is content that it did not expect, such as nesting beyond the stack.
    const known = error instanceof TorchCurvatureError ? error : damaged((error as Error).message, error);
    throw new TorchCurvatureError(known.code, `${name}: ${known.message}`, { cause: error });
  }
}

async function contentOf(path: string, reading: Reading): Promise<Uint8Array> {
  try {
    // Opening a pipe without O_NONBLOCK waits until somebody writes to it.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const found = await file.stat();
      if (!found.isFile()) throw damaged('it is no regular file');
      reading.begin(found.size);
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof TorchCurvatureError) throw error;
    throw damaged((error as Error).message, error);
  }
}

/** The caller may change its bytes, or transfer them, while they are read. */
async function copyOf(bytes: Uint8Array, reading: Reading): Promise<Uint8Array> {
  reading.begin(bytes.length);
  const copy = new Uint8Array(bytes.length);
  await copyBytes(bytes, copy, reading);
  return copy;
}
