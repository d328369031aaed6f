import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { SetupError } from './failure.mjs';

/**
 * The per-user folder for downloads. A relative TORCH_CURVATURE_CACHE counts from where npm was called.
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} [platform]
 */
export function cacheFolder(env, platform = process.platform) {
  if (env.TORCH_CURVATURE_CACHE) return resolve(env.INIT_CWD ?? '.', env.TORCH_CURVATURE_CACHE);
  return join(userCache(env, platform), 'torch-curvature');
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} platform
 */
function userCache(env, platform) {
  if (platform === 'win32') return env.LOCALAPPDATA || join(home(), 'AppData', 'Local');
  if (platform === 'darwin') return join(home(), 'Library', 'Caches');
  // The XDG base directory specification says to ignore a relative path.
  const xdg = env.XDG_CACHE_HOME;
  return xdg && isAbsolute(xdg) ? xdg : join(home(), '.cache');
}

function home() {
  try {
    return homedir();
  } catch {
    throw new SetupError(
      'This user has no home folder to cache libtorch in. Set TORCH_CURVATURE_CACHE to a folder.',
    );
  }
}
