/** Operators that models may consist of, with arguments that nobody would pass: each ends in a result or an exception. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { mustRun, run } from '../cases.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = join(root, 'build', 'cmake');
const program = join(folder, 'operators_fuzz');
const HANG = 30 * 60_000;
/** Calls of each overload; `TORCH_CURVATURE_FUZZ_TRIALS` for a long run. */
const trials = process.env.TORCH_CURVATURE_FUZZ_TRIALS ?? '100';
const seed = process.env.TORCH_CURVATURE_FUZZ_SEED ?? '1';

test('no operator ends the process or hangs', { timeout: HANG }, async () => {
  await mustRun('cmake', '-S', root, '-B', folder, '-DTC_NATIVE_TESTS=ON');
  const jobs = ['--parallel', String(availableParallelism())];
  await mustRun('cmake', '--build', folder, '--target', 'operators_fuzz', ...jobs);
  const { status, output } = await run(program, ['--trials', trials, '--seed', seed]);
  const lines = output.trim().split('\n');
  expect(lines.filter((line) => line.startsWith('FAILED'))).toEqual([]);
  expect(status).toBe(0);
  // Arguments drawn at random must not be refused so often that nothing was tried.
  const accepted = lines.filter((line) => /^ok .* [1-9]\d*\/\d+$/.test(line));
  expect(accepted.length).toBeGreaterThan(0.8 * lines.length);
  expect(lines.length).toBeGreaterThan(800);
});
