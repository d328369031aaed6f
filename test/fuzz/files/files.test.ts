/** The readers of files under a fuzzer: first what they failed on once, then some seconds of what it makes up. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../native/cases.ts';
import { byCounts } from '../../support/counts.ts';

const root = join(import.meta.dirname, '../../..');
const READERS = 7;
/** For all readers together; `TORCH_CURVATURE_FUZZ_SECONDS` for a longer run. */
const seconds = process.env.TORCH_CURVATURE_FUZZ_SECONDS ?? byCounts('4', '7');

test('no reader crashes, hangs, takes much memory or fails without a code', async () => {
  const { status, output } = await run(process.execPath, [
    join(root, 'scripts/fuzz/files.mjs'),
    '--seconds',
    seconds,
  ]);
  expect(output.split('\n').filter((line) => line.startsWith('FAILED'))).toEqual([]);
  expect(status).toBe(0);
  const counts = [...output.matchAll(/^ok \w+: (\d+) inputs/gm)].map(([, inputs]) => Number(inputs));
  expect(counts).toHaveLength(READERS);
  // More than the seeds, of which most readers have three or four.
  for (const inputs of counts) expect(inputs).toBeGreaterThan(16);
});
