/** Results are there as a whole or not at all, whatever ends the process in between. */
import { randomBytes } from 'node:crypto';
import { chmod, open, realpath, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/**
 * Writes a file: into a new one beside it, which then takes its place. A link is followed, and an existing file's
 * permissions stay. What is no regular file (a pipe, `/dev/stdout`) is written to as it is.
 */
export async function writeResult(path: string, content: string | Uint8Array): Promise<void> {
  const target = await realpath(path).catch(() => path);
  const there = await stat(target).catch(() => undefined);
  if (there !== undefined && !there.isFile()) return writeFile(target, content);
  const draft = join(dirname(target), `.${basename(target).slice(0, 200)}.${randomBytes(6).toString('hex')}`);
  try {
    const file = await open(draft, 'wx');
    try {
      await file.writeFile(content);
      await file.sync();
    } finally {
      await file.close();
    }
    if (there !== undefined) await chmod(draft, there.mode);
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

export function writeJson(path: string, value: object): Promise<void> {
  return writeResult(path, `${JSON.stringify(value, null, 2)}\n`);
}
