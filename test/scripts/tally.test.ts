/** What `npm test` counts. */
import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { temporaryFolder } from '../cli/run.ts';

const ROOT = join(import.meta.dirname, '../..');

async function tally(...files: string[]) {
  const out = join(await temporaryFolder(), 'tally.json');
  const root = join(ROOT, 'test/fixtures/tally');
  const reporter = join(ROOT, 'scripts/test/tally.mjs');
  const args = [
    join(ROOT, 'node_modules/vitest/vitest.mjs'),
    'run',
    '--root',
    root,
    `--reporter=${reporter}`,
  ];
  const { status, stderr } = spawnSync(process.execPath, [...args, ...files], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, TORCH_CURVATURE_TALLY: out },
    timeout: 240_000,
  });
  expect(status, stderr).toBe(1);
  return JSON.parse(await readFile(out, 'utf8'));
}

const LIMIT = { timeout: 300_000 };

it('counts every test once, and skips by their reasons', LIMIT, async () => {
  const { passed, failed, skipped, skips } = await tally('outcomes');
  // The hook counts for the suite that could not run because of it.
  expect({ passed, failed, skipped }).toEqual({ passed: 1, failed: 2, skipped: 5 });
  const of = (reason: string) => skips[`test/fixtures/tally/outcomes.spec.mjs: ${reason}`];
  expect([of('no moon'), of('no sun')]).toEqual([1, 2]);
});

it('a file that cannot be collected is a failure', LIMIT, async () => {
  expect(await tally('broken')).toEqual({ passed: 0, failed: 1, skipped: 0, skips: {} });
});

it('so is a process that ends', LIMIT, async () => {
  const { failed, skipped } = await tally('crash');
  expect(failed).toBeGreaterThan(0);
  expect(skipped).toBe(0);
});
