/**
 * Models without parameters, trainable ones or elements of them, without outputs, and batches without rows: zeros and
 * empty arrays of the right shapes, in every product. Each in a process of its own, which it may not end.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../fixtures/empty.mjs', import.meta.url));
const CASES: string[] = JSON.parse(execFileSync(process.execPath, [SCRIPT], { encoding: 'utf8' }));

it.each(CASES)('%s', { timeout: 120_000 }, (name) => {
  const { stdout, stderr, signal } = spawnSync(process.execPath, [SCRIPT, name], { encoding: 'utf8' });
  const last = stdout.trim().split('\n').at(-1);
  expect({ last, signal }, stderr).toEqual({ last: 'done', signal: null });
});
