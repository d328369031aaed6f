/** The soak, for some seconds: every request of every kind ends as it should. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { byCounts } from '../support/counts.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/soak/run.mjs', import.meta.url));
const run = (...args: string[]) => spawnSync(process.execPath, [SCRIPT, ...args], { encoding: 'utf8' });

it('finds nothing wrong with the example server', () => {
  const minutes = byCounts('0.05', '0.1');
  const { status, stdout, stderr } = run('--minutes', minutes);
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^\d+ requests in \S+ min, 8 at once: \S+ a second\n/);
  expect(stdout).toMatch(/^matvec +\d+ .* right \d+/m);
  expect(stdout).toMatch(/\nall as it should be\n$/);
  expect(status).toBe(0);
});

it('tells what is wrong with its options', () => {
  const { status, stderr } = run('--minutes', 'long');
  expect(stderr).toBe('--minutes and --concurrency should be positive numbers\n');
  expect(status).toBe(2);
});
