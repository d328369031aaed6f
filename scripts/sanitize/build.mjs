/** Builds with a sanitizer, by the presets of CMakePresets.json. */
import { spawnSync } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** The most that one compiler takes on instrumented sources. */
const BYTES_PER_JOB = 2e9;

/**
 * @param {'sanitize' | 'tsan'} preset
 * @param {string} target
 * @returns {string} CMake's folder
 */
export function build(preset, target) {
  const jobs = Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / BYTES_PER_JOB)));
  cmake('--preset', preset, '--log-level=WARNING');
  cmake('--build', '--preset', preset, '--target', target, '--parallel', String(jobs));
  return join(root, 'build', 'presets', preset);
}

/** @param {string[]} args */
function cmake(...args) {
  const { status, error } = spawnSync('cmake', args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`cmake ${args.join(' ')} ended with ${status}`);
}
