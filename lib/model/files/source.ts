/** The bytes of a file, and its name in messages. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { types } from 'node:util';
import { describe } from '../../arrays.ts';
import { TorchCurvatureError, wrongType } from '../../errors.ts';
import { damaged } from './failure.ts';
import { copyBytes, Turns } from './turns.ts';

/** A path, or the content of a file. */
export type FileSource = string | Uint8Array;

/** Bytes of a file that is read where the caller sets no limit: 16 GiB. */
export const MOST_BYTES = 2 ** 34;

/**
 * Reads a file with `read`, whose bytes nobody else knows; failures name the file. Only regular files of at most `most` bytes are read: a pipe would
 * keep a thread of Node.js waiting, and a device never ends.
 *
 * @throws TypeError when `source` is neither a path nor bytes
 */
export async function readSource<T>(
  source: FileSource,
  kind: string,
  read: (bytes: Uint8Array, turns: Turns) => Promise<T>,
  most: number = MOST_BYTES,
): Promise<T> {
  if (typeof source !== 'string' && !types.isUint8Array(source)) {
    throw wrongType(`${kind} should be a path or a Uint8Array, got ${describe(source)}`);
  }
  try {
    const turns = new Turns();
    const bytes =
      typeof source === 'string' ? await contentOf(source, most) : await copyOf(source, most, turns);
    return await read(bytes, turns);
  } catch (error) {
    const name = typeof source === 'string' ? source : kind;
    // What is no refusal of a reader's is content that it did not expect, such as nesting beyond the stack.
    const known = error instanceof TorchCurvatureError ? error : damaged((error as Error).message, error);
    throw new TorchCurvatureError(known.code, `${name}: ${known.message}`, { cause: error });
  }
}

async function contentOf(path: string, most: number): Promise<Uint8Array> {
  try {
    // Opening a pipe without O_NONBLOCK waits until somebody writes to it.
    const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const found = await file.stat();
      if (!found.isFile()) throw damaged('it is no regular file');
      checkSize(found.size, most);
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
async function copyOf(bytes: Uint8Array, most: number, turns: Turns): Promise<Uint8Array> {
  checkSize(bytes.length, most);
  const copy = new Uint8Array(bytes.length);
  await copyBytes(bytes, copy, turns);
  return copy;
}

function checkSize(bytes: number, most: number): void {
  if (bytes > most) throw damaged(`it has ${bytes} bytes; at most ${most} are read (the option maxBytes)`);
}
