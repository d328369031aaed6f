/** Loads the addon with the libtorch it was built with, and says how to mend what keeps it from loading. */
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TorchCurvatureError } from '../errors.ts';
import { ROOT } from '../root.ts';
import {
  type BuildRecord,
  checkAddon,
  checkLibtorch,
  checkVersion,
  isRefusal,
  REBUILD,
  readRecord,
} from './build-record.ts';
import type { Addon } from './interface.ts';
import { withBoundedWaiting } from './waiting.ts';

/** Sources and bundles alike lie one folder below the root of the package. */
const BUILD_FOLDER = fileURLToPath(new URL('build/Release/', ROOT));

/** @throws TorchCurvatureError `ERR_ACCESS_DENIED`, `ERR_ADDON_MISSING`, `ERR_LIBTORCH_MISSING`, `ERR_LIBTORCH_VERSION` */
export function loadAddon(folder: string = BUILD_FOLDER): { addon: Addon; libtorch: BuildRecord } {
  try {
    const libtorch = readRecord(join(folder, 'libtorch.json'));
    checkAddon(folder, libtorch);
    checkLibtorch(libtorch);
    const addon = load(join(folder, 'torch_curvature.node'), libtorch);
    checkVersion(libtorch, addon.info().libtorchVersion);
    return { addon, libtorch };
  } catch (error) {
    throw isRefusal(error) ? accessDenied(error) : error;
  }
}

function load(file: string, libtorch: BuildRecord): Addon {
  try {
    return withBoundedWaiting(() => createRequire(import.meta.url)(file) as Addon);
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
    const library = /(lib(?:torch|c10|kineto|gomp|cud|nv)[^\s:]*)/.exec(reason)?.[1];
    if (library !== undefined) {
      const message =
        `libtorch ${libtorch.version} in ${libtorch.path} is incomplete: ${library} could not be loaded (${reason}). ` +
        `Remove that folder and ${REBUILD}`;
      throw new TorchCurvatureError('ERR_LIBTORCH_MISSING', message, { cause });
    }
    const message = `the native addon ${file} could not be loaded (${reason}): ${REBUILD}`;
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
