/** Operators that models may consist of, with arguments that nobody would pass: each ends in a result or an exception. */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
// @ts-expect-error a script of the repository, without types
import { build, folder } from '../../../scripts/test/native-programs.mjs';
import { byCounts } from '../../support/counts.ts';
import { run } from '../cases.ts';

const program = join(folder, 'operators_fuzz');
const HANG = 30 * 60_000;
/** Calls of each overload; `TORCH_CURVATURE_FUZZ_TRIALS` for a long run. */
const trials = process.env.TORCH_CURVATURE_FUZZ_TRIALS ?? byCounts('12', '100');
const seed = process.env.TORCH_CURVATURE_FUZZ_SEED ?? '1';

test('no operator ends the process or hangs', { timeout: HANG }, async () => {
  await build('operators_fuzz');
  const parts = Math.min(4, availableParallelism());
  const ended = await Promise.all(
    Array.from({ length: parts }, (_, part) =>
      run(program, ['--trials', trials, '--seed', seed, '--part', `${part}/${parts}`]),
    ),
  );
  const lines = ended.flatMap(({ output }) => output.trim().split('\n'));
  expect(lines.filter((line) => line.startsWith('FAILED'))).toEqual([]);
  expect(ended.map(({ status }) => status)).toEqual(Array(parts).fill(0));
  // Arguments drawn at random must not be refused so often that nothing was tried.
  const accepted = lines.filter((line) => /^ok .* [1-9]\d*\/\d+$/.test(line));
  expect(accepted.length).toBeGreaterThan(byCounts(0.6, 0.8) * lines.length);
  expect(lines.length).toBeGreaterThan(800);
});
