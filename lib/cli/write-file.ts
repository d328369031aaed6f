/** Results are there as a whole or not at all, whatever ends the process in between. */
import { writeFile } from 'node:fs/promises';
import { placeOf, replaceFile } from '../whole-file.ts';

/**
 * Writes a file: into a new one beside it, which then takes its place. A link is followed, and an existing file's
 * permissions stay. What is no regular file (a pipe, `/dev/stdout`) is written to as it is.
 */
export async function writeResult(path: string, content: string | Uint8Array): Promise<void> {
  const place = await placeOf(path);
  if (place.there !== undefined && !place.there.isFile()) return writeFile(place.target, content);
  await replaceFile(place, [content]);
}

export function writeJson(path: string, value: object): Promise<void> {
  return writeResult(path, `${JSON.stringify(value, null, 2)}\n`);
}
