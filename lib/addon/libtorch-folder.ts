/** Which libtorch the addon is loaded with. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { cacheFolder } from '../../scripts/setup/cache.mjs';
import { TorchCurvatureError } from '../errors.ts';
import { type BuildRecord, checkVersion, releaseOf } from './build-record.ts';

export interface LibtorchFolder {
  path: string;
  /** Where the system's loader finds it by the addon's own search path. */
  how: 'linked' | 'opened';
  /** Whether its files are those that the addon was built with; if not, they are tried before they are trusted. */
  known: boolean;
}

/**
 * `LIBTORCH`, then the folder that the addon was built with or that is installed beside it, then the cache, in case it was
 * moved and `TORCH_CURVATURE_CACHE` says where to.
 *
 * @param packaged whether the libtorch is a package: package managers put these where they like
 * @throws TorchCurvatureError `ERR_LIBTORCH_MISSING`, `ERR_LIBTORCH_VERSION`
 */
export function libtorchFolder(
  record: BuildRecord,
  packaged: boolean,
  mend: string,
  env: NodeJS.ProcessEnv = process.env,
): LibtorchFolder {
  const { path, version, variant } = record;
  if (env.LIBTORCH && !isSame(env.LIBTORCH, path)) return chosen(resolve(env.LIBTORCH), record);
  if (path !== '' && existsSync(path)) return { path, how: packaged ? 'opened' : 'linked', known: true };
  const cached = join(cacheOf(env), `libtorch-${version}-${variant}`, 'torch');
  if (existsSync(cached)) return { path: cached, how: 'opened', known: true };
  const what =
    path === ''
      ? `the libtorch ${version} (${variant}) of this addon is not installed`
      : `the addon was built with libtorch ${version} in ${path}, but that is missing`;
  throw new TorchCurvatureError(
    'ERR_LIBTORCH_MISSING',
    `${what}: put it back, set LIBTORCH to a folder that holds it (the torch/ folder of a PyTorch ${version}), or ${mend}`,
  );
}

/** The user's libtorch: of the same release, with every library that the addon was linked with. */
function chosen(path: string, record: BuildRecord): LibtorchFolder {
  const unset = 'unset LIBTORCH, or build the addon against it';
  if (!existsSync(path))
    throw new TorchCurvatureError('ERR_LIBTORCH_MISSING', `LIBTORCH: ${path} does not exist: ${unset}`);
  const found = versionIn(path);
  if (found !== undefined) checkVersion({ ...record, path }, found, unset);
  const missing = Object.keys(record.libraries).find((name) => !existsSync(join(path, name)));
  if (missing === undefined) return { path, how: 'opened', known: false };
  throw new TorchCurvatureError(
    'ERR_LIBTORCH_MISSING',
    `LIBTORCH: ${path} has no ${missing}, which the addon was linked with: ${unset}`,
  );
}

/** What the `torch` folder of a PyTorch says in a line that headers need not be there for. */
function versionIn(path: string): string | undefined {
  const file = join(path, 'version.py');
  if (!existsSync(file)) return undefined;
  const found = /__version__\s*=\s*['"]([^'"]+)['"]/.exec(readFileSync(file, 'utf8'))?.[1];
  return found === undefined ? undefined : releaseOf(found);
}

function isSame(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}

/** A user without a home folder has no cache. */
function cacheOf(env: NodeJS.ProcessEnv): string {
  try {
    return cacheFolder(env);
  } catch {
    return '';
  }
}
