/** Files that are there as a whole or not at all. */
import { endianness } from 'node:os';
import { describe, type TypedArray } from '../../arrays.ts';
import { outOfRange, wrongType } from '../../errors.ts';
import { bytesOf, kindOf } from '../../foreign.ts';
import { placeOf, replaceFile } from '../../whole-file.ts';
import { MOST_BYTES } from './reading.ts';
import { pieces } from './turns.ts';

/**
 * Writes a file of these parts: into a new one beside it, which takes its place once all of it is on the disk. Whoever
 * reads the file meanwhile, or after a failure at any moment, finds what was there before. A link is followed, and an
 * existing file's permissions stay.
 *
 * @throws RangeError for more bytes than are read, where something else than a file stands there, and where it cannot be
 * written: its `cause` is the error of Node.js (`ENOENT`, `EACCES`, `ENOSPC`, …)
 */
export async function writeWhole(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  if (size > MOST_BYTES)
    throw outOfRange(`${path} would have ${size} bytes; at most ${MOST_BYTES} are read back`);
  const place = await placeOf(path);
  if (place.there !== undefined && !place.there.isFile()) throw outOfRange(`${path} is no regular file`);
  try {
    await replaceFile(
      place,
      parts.flatMap((part) => [...pieces(part)]),
    );
  } catch (error) {
    throw unwritable(path, error);
  }
}

/** What a file that cannot be written is refused with; `error` is what Node.js said. */
export function unwritable(path: string, error: unknown): RangeError {
  return outOfRange(`'${path}' could not be written: ${(error as Error).message}`, { cause: error });
}

/** @throws TypeError */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string') throw wrongType(`path should be a string, got ${describe(path)}`);
}

/** A copy of the elements' bytes as files hold them: the caller may change the array while it is written. */
export function littleEndian(array: TypedArray): Uint8Array {
  const bytes = Buffer.from(bytesOf(array));
  if (endianness() === 'LE' || array.BYTES_PER_ELEMENT === 1) return bytes;
  return /64/.test(kindOf(array)) ? bytes.swap64() : bytes.swap32();
}
