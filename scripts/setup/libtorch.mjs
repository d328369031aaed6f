import { join } from 'node:path';
import { cacheFolder } from './cache.mjs';
import { explaining, SetupError } from './failure.mjs';
import { fetchRelease, isComplete, releaseFolder } from './fetch.mjs';
import { inspectLibtorch } from './inspect.mjs';
import { run, say } from './process.mjs';
import { PYTHON } from './python.mjs';
import { RELEASES } from './releases.mjs';

/**
 * Finds libtorch, or downloads it: `LIBTORCH`, then the PyTorch of the Python on PATH when `LIBTORCH_USE_PYTORCH=1`,
 * then the per-user cache, then pip. Says which it took.
 * @param {NodeJS.ProcessEnv} [env]
 * @param {typeof RELEASES} [releases]
 * @returns {Promise<import('./inspect.mjs').Libtorch>}
 */
export async function resolveLibtorch(env = process.env, releases = RELEASES) {
  if (env.LIBTORCH) return named('LIBTORCH', env.LIBTORCH);
  if (env.LIBTORCH_USE_PYTORCH === '1') return named('LIBTORCH_USE_PYTORCH', await installedPyTorch(env));

  const release = chooseRelease(env, releases);
  const cache = cacheFolder(env);
  const mend = 'Mend that, or set TORCH_CURVATURE_CACHE to another folder, and run the same command again.';
  return explaining(`The cache ${cache}`, mend, async () => {
    const inCache = await isComplete(cache, release);
    if (!inCache) await fetchRelease(cache, release, env);
    const libtorch = await inspectLibtorch(join(releaseFolder(cache, release), 'torch'), 'the cache');
    return took(inCache ? 'cache' : 'downloaded', libtorch);
  });
}

/**
 * The libtorch that the user chose.
 * @param {string} variable that says so
 * @param {string} folder
 */
function named(variable, folder) {
  const mend = 'Mend that, or unset the variable to have libtorch downloaded.';
  return explaining(`${variable}: ${folder}`, mend, async () =>
    took(variable, await inspectLibtorch(folder, variable)),
  );
}

/**
 * @param {string} origin
 * @param {import('./inspect.mjs').Libtorch} libtorch
 */
function took(origin, libtorch) {
  say(`libtorch ${libtorch.version} (${libtorch.variant}, ${origin}): ${libtorch.path}`);
  return libtorch;
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {typeof RELEASES} releases
 */
function chooseRelease(env, releases) {
  const variant = env.TORCH_CURVATURE_VARIANT || 'cpu';
  if (variant === 'cpu' || variant === 'cuda') return releases[variant];
  throw new SetupError(`TORCH_CURVATURE_VARIANT is "${variant}", expected "cpu" or "cuda".`);
}

/**
 * Where the PyTorch of a Python lies, if it has one; found without importing it, which would take seconds.
 * @param {string} python
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
export async function folderOfPyTorch(python, env) {
  const code = 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])';
  const { code: status, stdout } = await run(python, ['-c', code], { env });
  return status === 0 ? stdout.trim() : undefined;
}

/** @param {NodeJS.ProcessEnv} env */
async function installedPyTorch(env) {
  const folder = await folderOfPyTorch(PYTHON, env);
  if (folder !== undefined) return folder;
  throw new SetupError(
    `LIBTORCH_USE_PYTORCH=1, but the ${PYTHON} on PATH has no PyTorch. Activate the environment that has it, ` +
      'or unset the variable to have libtorch downloaded.',
  );
}
