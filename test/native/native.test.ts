/** The core's own tests (doctest, C++), as one test here: what they print shows when they fail. */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** The addon's: its core is compiled there already, against the libtorch in use. */
const folder = join(root, 'build', 'cmake');
const MINUTES = 60_000;

function run(program: string, ...args: readonly string[]) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', cwd: root });
  return { status, output: `${stdout ?? ''}${stderr ?? ''}${error?.message ?? ''}` };
}

function mustRun(program: string, ...args: readonly string[]): string {
  const { status, output } = run(program, ...args);
  expect(status, output).toBe(0);
  return output;
}

test('the core passes its own tests', { timeout: 20 * MINUTES }, ({ skip }) => {
  if (run('cmake', '--version').status !== 0) {
    console.log('Skipping the native tests: CMake was not found');
    skip();
  }
  const configured = mustRun('cmake', '-S', root, '-B', folder, '-DTC_NATIVE_TESTS=ON');
  const skipped = /Skipping the core's tests: .*/.exec(configured)?.[0];
  if (skipped !== undefined) {
    console.log(skipped);
    skip();
  }
  mustRun('cmake', '--build', folder, '--target', 'core_tests', '--parallel', String(availableParallelism()));
  mustRun(join(folder, 'core_tests'));
});
