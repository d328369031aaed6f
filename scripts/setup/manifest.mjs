/**
 * What files were when they were put in place, so that one that was cut short or altered is noticed before the system
 * maps it and the process dies. A file of the recorded size and time is believed, at the price of one `stat`; one that was
 * touched or copied since is read and its digest compared: about a second for libtorch.
 */
import { createHash } from 'node:crypto';
import { accessSync, closeSync, constants, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';

const CHUNK_BYTES = 2 ** 20;

/**
 * @typedef {object} FileRecord
 * @property {number} bytes
 * @property {number} [seconds] when it was last modified; whole ones, which archives and images keep. Without it the size
 * is all that is compared: of files in packages, whose digests the package manager has compared and whose times it changes
 * @property {string} sha256 in base64
 *
 * @typedef {Record<string, FileRecord>} Manifest by path relative to a folder
 */

/** @param {string} name of a file: whether it is a shared library */
export function isLibrary(name) {
  return /\.(so(\.\d+)*|dylib|dll)$/.test(name);
}

/**
 * @param {string} folder
 * @param {readonly string[]} names
 * @returns {Manifest}
 */
export function recordFiles(folder, names) {
  return Object.fromEntries(
    names.map((name) => {
      const file = join(folder, name);
      return [name, { ...measure(file), sha256: digestOf(file) }];
    }),
  );
}

/**
 * The first file that is not what it was, and what is wrong with it; undefined when all are as recorded.
 * @param {string} folder
 * @param {Manifest} manifest
 * @returns {{ name: string, fault: string } | undefined}
 * @throws the system's error where a file may not be read
 */
export function findAltered(folder, manifest) {
  for (const [name, recorded] of Object.entries(manifest)) {
    const fault = faultOf(join(folder, name), recorded);
    if (fault !== undefined) return { name, fault };
  }
  return undefined;
}

/**
 * @param {string} file
 * @param {FileRecord} recorded
 */
function faultOf(file, recorded) {
  let found;
  try {
    found = measure(file);
    accessSync(file, constants.R_OK);
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return 'is missing';
    throw error;
  }
  if (found.bytes < recorded.bytes) return `is truncated: ${found.bytes} of ${recorded.bytes} bytes are left`;
  if (found.bytes > recorded.bytes) return `was altered: it has ${found.bytes} bytes, not ${recorded.bytes}`;
  if (recorded.seconds === undefined || found.seconds === recorded.seconds) return undefined;
  if (digestOf(file) === recorded.sha256) return undefined;
  return 'was altered';
}

/** @param {string} file */
function measure(file) {
  const { size, mtimeMs } = statSync(file);
  return { bytes: size, seconds: Math.floor(mtimeMs / 1000) };
}

/** @param {string} file */
function digestOf(file) {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  const descriptor = openSync(file, 'r');
  try {
    let read = readSync(descriptor, chunk);
    while (read > 0) {
      hash.update(chunk.subarray(0, read));
      read = readSync(descriptor, chunk);
    }
  } finally {
    closeSync(descriptor);
  }
  return hash.digest('base64');
}
