/** Loads the addon with its libtorch, and says how to mend what keeps it from loading. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import packageJson from '../../package.json' with { type: 'json' };
import { TorchCurvatureError } from '../errors.ts';
import { ROOT, SELF } from '../root.ts';
import {
  type BuildRecord,
  checkAddon,
  checkLibtorch,
  checkVersion,
  isRefusal,
  readRecord,
} from './build-record.ts';
import type { Addon } from './interface.ts';
import { type LibtorchFolder, libtorchFolder } from './libtorch-folder.ts';
import { REBUILD, REINSTALL } from './mend.ts';
import { openLibrary } from './open-library.ts';
import { findPlatformPackage } from './platform-package.ts';
import { tryTogether } from './trial.ts';
import { withBoundedWaiting } from './waiting.ts';

const BUILD_FOLDER = fileURLToPath(new URL('build/Release/', ROOT));
const ADDON = 'torch_curvature.node';
const RECORD = 'libtorch.json';

/** An addon that is to be loaded. */
interface Installation {
  folder: string;
  record: BuildRecord;
  /** Whether it is a package of a release rather than a build made here. */
  packaged: boolean;
  /** How messages about what is wrong with it end. */
  mend: string;
}

/**
 * The addon in `folder`; without one what was built here, else the package for this platform.
 *
 * @throws TorchCurvatureError `ERR_ACCESS_DENIED`, `ERR_ADDON_MISSING`, `ERR_LIBTORCH_MISSING`, `ERR_LIBTORCH_VERSION`
 */
export function loadAddon(folder?: string): { addon: Addon; libtorch: BuildRecord } {
  try {
    const { record, packaged, mend, ...found } = folder === undefined ? installed() : built(folder);
    checkAddon(found.folder, record, mend);
    const place = libtorchFolder(record, packaged, mend);
    const libtorch = { ...record, path: place.path };
    const file = join(found.folder, ADDON);
    const library = join(place.path, LIBTORCH);
    if (place.known) checkLibtorch(libtorch, mend);
    else tryTogether(file, library, mend);
    const addon = load(file, library, place, libtorch, mend);
    checkVersion(libtorch, addon.info().libtorchVersion, mend);
    return { addon, libtorch };
  } catch (error) {
    // What is an error of ours has named its flag or file already.
    throw isRefusal(error) && !(error instanceof TorchCurvatureError) ? accessDenied(error) : error;
  }
}

/** A build made here was asked for; a package comes by itself. */
function installed(): Installation {
  const found = existsSync(join(BUILD_FOLDER, RECORD)) ? undefined : findPlatformPackage();
  if (found === undefined) return built(BUILD_FOLDER);
  if (found.version !== packageJson.version) {
    const { version } = packageJson;
    const message =
      `${found.name} is version ${found.version}, but torch-curvature is ${version}: both are one release. ` +
      `Install ${found.name}@${version}, or ${REINSTALL}`;
    throw new TorchCurvatureError('ERR_ADDON_MISSING', message);
  }
  const record = readRecord(found.record, found.libtorch ?? '');
  return { folder: dirname(found.addon), record, packaged: true, mend: REINSTALL };
}

function built(folder: string): Installation {
  return { folder, record: readRecord(join(folder, RECORD)), packaged: false, mend: REBUILD };
}

/** The library of libtorch that needs all the others. */
const LIBTORCH = `lib/libtorch.${process.platform === 'darwin' ? 'dylib' : 'so'}`;

function load(
  file: string,
  library: string,
  { how }: LibtorchFolder,
  libtorch: BuildRecord,
  mend: string,
): Addon {
  try {
    return withBoundedWaiting(() => {
      if (how === 'opened') openLibrary(library);
      return createRequire(SELF)(file) as Addon;
    });
  } catch (cause) {
    const { message: reason, code } = cause as NodeJS.ErrnoException;
    if (code === 'ERR_DLOPEN_DISABLED') {
      const message =
        'Node.js was started so that it loads no native addons: with its permission model (--permission), add ' +
        '--allow-addons; else remove --no-addons';
      throw new TorchCurvatureError('ERR_ACCESS_DENIED', message, { cause });
    }
    if (/Permission denied|Operation not permitted/.test(reason)) {
      const message = `the system does not let this process load ${reason}: is a file system mounted noexec?`;
      throw new TorchCurvatureError('ERR_ACCESS_DENIED', message, { cause });
    }
    const runtime = /version [`'](GLIBC(?:XX)?|CXXABI)_([\d.]+)' not found/.exec(reason);
    if (runtime !== null) {
      const message =
        `the addon needs ${runtime[1]}_${runtime[2]}, but the C or C++ library of this system is older (${reason}): ` +
        `use a newer system, or ${REBUILD}`;
      throw new TorchCurvatureError('ERR_ADDON_MISSING', message, { cause });
    }
    const missing = /(lib(?:torch|c10|kineto|gomp|cud|nv)[^\s:]*)/.exec(reason)?.[1];
    if (missing !== undefined) {
      const message =
        `libtorch ${libtorch.version} in ${libtorch.path} is incomplete: ${missing} could not be loaded (${reason}). ` +
        `Remove that folder and ${mend}`;
      throw new TorchCurvatureError('ERR_LIBTORCH_MISSING', message, { cause });
    }
    const message = `the native addon ${file} could not be loaded (${reason}): ${mend}`;
    throw new TorchCurvatureError('ERR_ADDON_MISSING', message, { cause });
  }
}

function accessDenied(cause: NodeJS.ErrnoException): TorchCurvatureError {
  const { code, path, resource } = cause as NodeJS.ErrnoException & { resource?: string };
  const file = path ?? resource ?? 'a file';
  const message =
    code === 'ERR_ACCESS_DENIED'
      ? `Node.js's permission model does not let this process read ${file}: start it with --allow-fs-read for ` +
        `the package's folder and libtorch's (${cause.message})`
      : `this process may not read ${file} (${code}): the addon is there, but its user needs permission`;
  return new TorchCurvatureError('ERR_ACCESS_DENIED', message, { cause });
}
