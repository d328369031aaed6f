/** Finds the addon and the libtorch it was built with, and says how to mend what is missing. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TorchCurvatureError } from '../errors.ts';
import { ROOT } from '../root.ts';
import { isTruncated } from './elf.ts';
import type { Addon } from './interface.ts';

/** What the build leaves beside the addon: which libtorch it was compiled and linked with. */
export interface BuildRecord {
  /** Folder with libtorch's `include/` and `lib/`. */
  path: string;
  version: string;
  variant: 'cpu' | 'cuda';
}

const REBUILD =
  'run `npm rebuild torch-curvature` (in a clone of the repository: `npm run setup`), which finds or fetches libtorch ' +
  'and builds the addon';

/** Sources and bundles alike lie one folder below the root of the package. */
const BUILD_FOLDER = fileURLToPath(new URL('build/Release/', ROOT));

export function loadAddon(folder: string = BUILD_FOLDER): { addon: Addon; libtorch: BuildRecord } {
  const file = join(folder, 'torch_curvature.node');
  if (!existsSync(file)) {
    throw new TorchCurvatureError('ERR_ADDON_MISSING', `the native addon is not at ${file}: ${REBUILD}`);
  }
  if (isTruncated(file)) {
    throw new TorchCurvatureError('ERR_ADDON_MISSING', `the native addon ${file} is truncated: ${REBUILD}`);
  }
  const libtorch = readRecord(join(folder, 'libtorch.json'));
  checkLibtorch(libtorch);
  const addon = load(file, libtorch);
  const { libtorchVersion, compiledVersion } = addon.info();
  if (release(libtorchVersion) !== release(compiledVersion)) throw wrongVersion(libtorch, libtorchVersion);
  return { addon, libtorch };
}

export function readRecord(file: string): BuildRecord {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as BuildRecord;
  } catch (cause) {
    const message = `${file}, which says what the addon was built with, is missing or damaged: ${REBUILD}`;
    throw new TorchCurvatureError('ERR_ADDON_MISSING', message, { cause });
  }
}

/** Where headers of libtorch state its version, in newer and older releases. They need not be there to run. */
const VERSION_HEADERS = [
  'include/torch/headeronly/version.h',
  'include/torch/csrc/api/include/torch/version.h',
];

/** Looks at libtorch's files before the system's loader does, whose messages name neither the cause nor the cure. */
function checkLibtorch(libtorch: BuildRecord): void {
  const libraries = join(libtorch.path, 'lib');
  if (!existsSync(libraries)) {
    throw new TorchCurvatureError(
      'ERR_LIBTORCH_MISSING',
      `the addon was built with libtorch ${libtorch.version} in ${libtorch.path}, but ${libraries} is missing: ` +
        `put it back, or ${REBUILD}`,
    );
  }
  const truncated = readdirSync(libraries)
    .filter((name) => /\.so(\.|$)/.test(name))
    .find((name) => isTruncated(join(libraries, name)));
  if (truncated !== undefined) {
    throw new TorchCurvatureError(
      'ERR_LIBTORCH_MISSING',
      `${truncated} of libtorch ${libtorch.version} in ${libtorch.path} is truncated: remove that folder and ${REBUILD}`,
    );
  }
  for (const header of VERSION_HEADERS.map((name) => join(libtorch.path, name)).filter(existsSync)) {
    const found = /#define TORCH_VERSION\s*\\?\s*"([^"]+)"/.exec(readFileSync(header, 'utf8'))?.[1];
    if (found !== undefined && release(found) !== release(libtorch.version))
      throw wrongVersion(libtorch, found);
  }
}

function load(file: string, libtorch: BuildRecord): Addon {
  try {
    return createRequire(import.meta.url)(file) as Addon;
  } catch (cause) {
    const reason = (cause as Error).message;
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

function wrongVersion(libtorch: BuildRecord, found: string): TorchCurvatureError {
  return new TorchCurvatureError(
    'ERR_LIBTORCH_VERSION',
    `the addon was built for libtorch ${libtorch.version}, but ${libtorch.path} holds version ${found}: ${REBUILD}`,
  );
}

/** `2.13.0` of `2.13.0+cpu`. */
function release(version: string): string {
  return version.replace(/\+.*$/, '');
}
