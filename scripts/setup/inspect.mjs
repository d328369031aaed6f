import { readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { SetupError } from './failure.mjs';

/**
 * @typedef {object} Libtorch
 * @property {string} path the folder that holds include/ and lib/
 * @property {string} version of its headers, for example 2.13.0
 * @property {'cpu' | 'cuda'} variant
 */

const OLDEST = [2, 6];
const VERSION_HEADERS = [
  'include/torch/headeronly/version.h',
  'include/torch/csrc/api/include/torch/version.h',
];

/**
 * Looks into a libtorch folder and refuses what the addon cannot be built with.
 * @param {string} folder
 * @param {string} origin how the folder was named, for messages: `LIBTORCH`
 * @returns {Promise<Libtorch>}
 * @throws the system's error where the folder may not be read
 */
export async function inspectLibtorch(folder, origin) {
  const path = resolve(folder);
  if (!(await exists(path))) throw new SetupError(`${origin}: ${path} does not exist.`);
  for (const needed of ['include/ATen/ATen.h', library('torch_cpu'), library('c10')]) {
    if (await exists(join(path, needed))) continue;
    throw new SetupError(
      `${origin}: ${path} is not a complete libtorch, it has no ${needed}.\n` +
        "Give the folder that holds libtorch's include/ and lib/, or the torch/ folder of an installed PyTorch.",
    );
  }
  const version = await headerVersion(path);
  if (version === undefined)
    throw new SetupError(`${origin}: the headers in ${path} do not tell their version.`);
  const [major, minor] = version.split('.').map(Number);
  if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
    throw new SetupError(
      `${origin}: ${path} is libtorch ${version}, but ${OLDEST.join('.')} or later is needed. ` +
        'Install a newer one, or unset the variable to have one downloaded.',
    );
  }
  const variant = (await exists(join(path, library('torch_cuda')))) ? 'cuda' : 'cpu';
  return { path: await realpath(path), version, variant };
}

/**
 * Whether there is such a file or folder; what may not be looked at is not taken for missing.
 * @param {string} path
 */
async function exists(path) {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
    throw error;
  }
}

/** @param {string} name */
function library(name) {
  if (process.platform === 'win32') return `lib/${name}.lib`;
  return `lib/lib${name}.${process.platform === 'darwin' ? 'dylib' : 'so'}`;
}

/** @param {string} path */
async function headerVersion(path) {
  for (const header of VERSION_HEADERS) {
    const text = await readFile(join(path, header), 'utf8').catch(() => '');
    const found = /#define TORCH_VERSION\s*\\?\s*"([^"+]+)/.exec(text);
    if (found) return found[1];
  }
  return undefined;
}
