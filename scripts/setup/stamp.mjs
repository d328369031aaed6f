import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/**
 * A digest of files and folders (by name and content) and of anything else a result depends on.
 * @param {string} root
 * @param {readonly string[]} paths relative to it; those that do not exist count as empty
 * @param {unknown} [extra]
 */
export async function digest(root, paths, extra) {
  const hash = createHash('sha256').update(JSON.stringify(extra ?? null));
  for (const path of paths) {
    for (const file of await filesIn(join(root, path))) {
      hash.update(`\0${relative(root, file)}\0`).update(await readFile(file));
    }
  }
  return hash.digest('hex');
}

/**
 * The files in a folder and in those inside it, or the file itself; none where there is nothing.
 * @param {string} path
 * @returns {Promise<string[]>} full paths
 */
export async function filesIn(path) {
  try {
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .sort();
  } catch (error) {
    if (error.code === 'ENOTDIR') return [path];
    if (error.code === 'ENOENT') return [];
    throw error;
  }
}
