/** What the build wrote down about the addon and its libtorch, and whether both are still as they were then. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { findAltered, type Manifest } from '../../scripts/setup/manifest.mjs';
import { TorchCurvatureError } from '../errors.ts';
import { REBUILD, whyMissing } from './mend.ts';

/** What the build leaves beside the addon: which libtorch it was compiled and linked with. */
export interface BuildRecord {
  /** Folder with libtorch's `include/` and `lib/`. */
  path: string;
  version: string;
  variant: 'cpu' | 'cuda';
  /** What the addon's file was. */
  addon: Manifest;
  /** What libtorch's libraries were, by path in its folder. */
  libraries: Manifest;
}

/**
 * @param libtorch where it lies, for the record of a package, which is written before anyone knows
 * @throws TorchCurvatureError `ERR_ADDON_MISSING` where there is no whole record, as the addon was not built to its end
 */
export function readRecord(file: string, libtorch?: string): BuildRecord {
  try {
    const record = { path: libtorch, ...JSON.parse(readFileSync(file, 'utf8')) } as Partial<BuildRecord>;
    if (typeof record.path !== 'string' || !record.addon || !record.libraries)
      throw new TypeError('not a record');
    return record as BuildRecord;
  } catch (cause) {
    if (isRefusal(cause)) throw cause;
    const message = isMissing(cause)
      ? whyMissing()
      : `the native addon was not built to its end: damaged is ${file}. To mend it, ${REBUILD}`;
    throw new TorchCurvatureError('ERR_ADDON_MISSING', message, { cause });
  }
}

/**
 * Looks at the addon's file before the system's loader does, which a truncated one would make end the process.
 *
 * @throws TorchCurvatureError `ERR_ADDON_MISSING`
 */
export function checkAddon(folder: string, { addon }: BuildRecord, mend: string): void {
  const altered = findAltered(folder, addon);
  if (altered === undefined) return;
  const message = `the native addon ${join(folder, altered.name)} ${altered.fault}: ${mend}`;
  throw new TorchCurvatureError('ERR_ADDON_MISSING', message);
}

/**
 * Looks at libtorch's files, as the system's messages name neither the cause nor the cure.
 *
 * @throws TorchCurvatureError `ERR_LIBTORCH_MISSING`, `ERR_LIBTORCH_VERSION`
 */
export function checkLibtorch(record: BuildRecord, mend: string): void {
  const { path, version, libraries } = record;
  const found = headerVersion(path);
  if (found !== undefined) checkVersion(record, found, mend);
  const altered = findAltered(path, libraries);
  if (altered === undefined) return;
  throw new TorchCurvatureError(
    'ERR_LIBTORCH_MISSING',
    `${altered.name} of libtorch ${version} in ${path} ${altered.fault} since the addon was built: ` +
      `put it back, or ${mend}`,
  );
}

/** @throws TorchCurvatureError `ERR_LIBTORCH_VERSION` where another version was found than the addon was built for */
export function checkVersion({ path, version }: BuildRecord, found: string, mend: string): void {
  if (releaseOf(found) === releaseOf(version)) return;
  throw new TorchCurvatureError(
    'ERR_LIBTORCH_VERSION',
    `the addon was built for libtorch ${version}, but ${path} holds version ${found}: ${mend}`,
  );
}

/** Whether the system, or Node.js's permission model, forbids something; that is not a reason to call a file missing. */
export function isRefusal(error: unknown): error is NodeJS.ErrnoException {
  return ['EACCES', 'EPERM', 'ERR_ACCESS_DENIED'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** Where headers of libtorch state its version, in newer and older releases. They need not be there to run. */
const VERSION_HEADERS = [
  'include/torch/headeronly/version.h',
  'include/torch/csrc/api/include/torch/version.h',
];

function headerVersion(path: string): string | undefined {
  const header = VERSION_HEADERS.map((name) => join(path, name)).find(exists);
  if (header === undefined) return undefined;
  return /#define TORCH_VERSION\s*\\?\s*"([^"]+)"/.exec(readFileSync(header, 'utf8'))?.[1];
}

/** `2.13.0` of `2.13.0+cpu`. */
export function releaseOf(version: string): string {
  return version.replace(/\+.*$/, '');
}
