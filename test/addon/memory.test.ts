/**
 * Memory of the process: no kind of work leaves any behind, each in a process of its own.
 * `TORCH_CURVATURE_TEST_COUNTS=full` repeats each as often as a server does in a day.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { byCounts, someOf } from '../support/counts.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/memory.mjs', import.meta.url));
const MIB = 2 ** 20;
const TIMEOUT = byCounts(240_000, 240_000, 3_600_000);

/** Kinds of work, and how often each is done: at the most, and in minutes. */
const KINDS: [string, number, number][] = [
  ['products', 100_000, 3000],
  ['linearizations', 10_000, 1000],
  ['operators', 10_000, 1000],
  ['failures', 10_000, 1000],
  ['aborts', 10_000, 500],
  ['loads', 5000, 200],
  ['refusedLoads', 5000, 200],
  ['profiles', 2000, 100],
];

interface Measured {
  growth: number;
  made: number;
  peak: number;
}

async function measured(kind: string, count: number): Promise<Measured> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    // The young generation of V8's heap grows to tens of MB under load, which is no leak.
    ['--expose-gc', '--max-semi-space-size=1', SCRIPT, kind, String(count)],
    { timeout: TIMEOUT - 10_000 },
  );
  return JSON.parse(stdout);
}

// RssAnon is a line of Linux's /proc.
describe.runIf(process.platform === 'linux')('memory', { timeout: TIMEOUT }, () => {
  it.each(someOf(KINDS, 4))('%s leave nothing behind', async (kind, full, few) => {
    const { growth } = await measured(kind, byCounts(few, few, full));
    expect(growth).toBeLessThan(5 * MIB);
  });

  it.each(someOf(['linearizationsInALoop', 'linearizationsInTurns']))(
    '%s that nobody disposes of are freed in time',
    async (kind) => {
      const { made, peak } = await measured(kind, byCounts(2500, 4000, 20_000));
      expect(made).toBeGreaterThan(1000 * MIB);
      expect(peak).toBeLessThan(600 * MIB);
    },
  );
});
