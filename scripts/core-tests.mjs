/**
 * Compiles what changed and runs the core's tests (C++), or those chosen:
 *
 *     npm run test:core -- '-sf=*rows_test.cc' -tc='names, with *'
 *
 * It works in the folder of the set-up, where the core is compiled already.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'build', 'cmake');

if (existsSync(join(folder, 'CMakeCache.txt'))) {
  const jobs = String(availableParallelism());
  process.exitCode =
    run('cmake', ['-S', root, '-B', folder, '-DTC_NATIVE_TESTS=ON', '--log-level=WARNING']) ||
    run('cmake', ['--build', folder, '--target', 'core_tests', '--parallel', jobs]) ||
    run(join(folder, 'core_tests'), process.argv.slice(2));
} else {
  console.error('Nothing is configured here yet: npm run setup');
  process.exitCode = 1;
}

/**
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {number} exit status
 */
function run(program, args) {
  // Threads that wait without turning: on a busy machine the others get the processor meanwhile.
  const env = { OMP_WAIT_POLICY: 'passive', ...process.env };
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', env });
  if (error) console.error(`${program}: ${error.message}`);
  return status ?? 1;
}
