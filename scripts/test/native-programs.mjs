/** The core's tests and other programs beside it, in the set-up's folder, where the core is compiled already. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from '../setup/lock.mjs';
import { run } from '../setup/process.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
export const folder = join(root, 'build', 'cmake');

/**
 * @returns {Promise<string>} what CMake says
 * @throws Error with that, where it fails
 */
export const configure = () => cmake('-S', root, '-B', folder, '-DTC_NATIVE_TESTS=ON');

/**
 * Configures, and compiles what has changed.
 * @param {readonly string[]} targets
 * @returns {Promise<void>}
 * @throws Error with what was said, where it fails
 */
export async function build(...targets) {
  await configure();
  const wanted = targets.flatMap((target) => ['--target', target]);
  await cmake('--build', folder, ...wanted, '--parallel', String(availableParallelism()));
}

/** One at a time: others, as tests beside one another, would write the same files. */
function cmake(...args) {
  return withLock(join(root, 'build', 'cmake.lock'), async () => {
    const { code, output } = await run('cmake', args);
    if (code !== 0) throw new Error(`cmake ${args.join(' ')} ended with ${code}:\n${output}`);
    return output;
  });
}
