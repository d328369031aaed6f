/** Everything that is exported, called as nobody should: no crash, no hang, and every error has a code. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../native/cases.ts';
import { byCounts } from '../../support/counts.ts';

const script = join(import.meta.dirname, '../../../scripts/fuzz/api.mjs');
/** `npm run fuzz:api` for more, and for other seeds. */
const [calls, seed] = [byCounts('5000', '200000'), '1'];

test('no call crashes, hangs or fails without a code', { timeout: 600_000 }, async () => {
  const { status, output } = await run(process.execPath, [script, '--calls', calls, '--seed', seed]);
  expect(output.split('\n').filter((line) => line.startsWith('FAILED'))).toEqual([]);
  expect(status).toBe(0);
  const [, made, accepted] = /^(\d+) calls, (\d+) accepted/m.exec(output)!;
  expect(Number(made)).toBeGreaterThanOrEqual(Number(calls));
  // Calls that are refused at once try nothing.
  expect(Number(accepted) / Number(made)).toBeGreaterThan(0.2);
});
