/** What the build wrote down about the addon and its libtorch, and whether both are still as they were then. */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findAltered, type Manifest } from '../../scripts/setup/manifest.mjs';
import { TorchCurvatureError } from '../errors.ts';
import { ROOT } from '../root.ts';

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

/** The script itself rather than a command of npm: that runs no scripts where these are switched off. */
const SCRIPT = fileURLToPath(new URL('scripts/setup/build.mjs', ROOT));

/** How every message about a damaged installation ends. */
export const REBUILD = `run \`node "${SCRIPT}"\`, which finds or fetches libtorch and builds the addon`;

/** @throws TorchCurvatureError `ERR_ADDON_MISSING` where there is no whole record, as the addon was not built to its end */
export function readRecord(file: string): BuildRecord {
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as Partial<BuildRecord>;
    if (typeof record.path !== 'string' || !record.addon || !record.libraries)
      throw new TypeError('not a record');
    return record as BuildRecord;
  } catch (cause) {
    if (isRefusal(cause)) throw cause;
    const what = isMissing(cause) ? 'was not built: there is no' : 'was not built to its end: damaged is';
    throw new TorchCurvatureError(
      'ERR_ADDON_MISSING',
      `the native addon ${what} ${file}. To mend it, ${REBUILD}`,
      {
        cause,
      },
    );
  }
}

/**
 * Looks at the addon's file before the system's loader does, which a truncated one would make end the process.
 *
 * @throws TorchCurvatureError `ERR_ADDON_MISSING`
 */
export function checkAddon(folder: string, { addon }: BuildRecord): void {
  const altered = findAltered(folder, addon);
  if (altered === undefined) return;
  const message = `the native addon ${join(folder, altered.name)} ${altered.fault}: ${REBUILD}`;
  throw new TorchCurvatureError('ERR_ADDON_MISSING', message);
}

/**
 * Looks at libtorch's files, as the system's messages name neither the cause nor the cure.
 *
 * @throws TorchCurvatureError `ERR_LIBTORCH_MISSING`, `ERR_LIBTORCH_VERSION`
 */
export function checkLibtorch(record: BuildRecord): void {
  const { path, version, libraries } = record;
  if (!exists(path)) {
    throw new TorchCurvatureError(
      'ERR_LIBTORCH_MISSING',
      `the addon was built with libtorch ${version} in ${path}, but that is missing: put it back, or ${REBUILD}`,
    );
  }
  const found = headerVersion(path);
  if (found !== undefined) checkVersion(record, found);
  const altered = findAltered(path, libraries);
  if (altered === undefined) return;
  throw new TorchCurvatureError(
    'ERR_LIBTORCH_MISSING',
    `${altered.name} of libtorch ${version} in ${path} ${altered.fault} since the addon was built: ` +
      `put it back, or ${REBUILD}`,
  );
}

/** @throws TorchCurvatureError `ERR_LIBTORCH_VERSION` where another version was found than the addon was built for */
export function checkVersion({ path, version }: BuildRecord, found: string): void {
  if (release(found) === release(version)) return;
  throw new TorchCurvatureError(
    'ERR_LIBTORCH_VERSION',
    `the addon was built for libtorch ${version}, but ${path} holds version ${found}: ${REBUILD}`,
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
function release(version: string): string {
  return version.replace(/\+.*$/, '');
}
