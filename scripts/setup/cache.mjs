import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/**
 * The per-user folder for downloads.
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} [platform]
 */
export function cacheFolder(env, platform = process.platform) {
  if (env.TORCH_CURVATURE_CACHE) return env.TORCH_CURVATURE_CACHE;
  return join(userCache(env, platform), 'torch-curvature');
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {NodeJS.Platform} platform
 */
function userCache(env, platform) {
  if (platform === 'win32') return env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local');
  if (platform === 'darwin') return join(homedir(), 'Library', 'Caches');
  // The XDG base directory specification says to ignore a relative path.
  const xdg = env.XDG_CACHE_HOME;
  return xdg && isAbsolute(xdg) ? xdg : join(homedir(), '.cache');
}
