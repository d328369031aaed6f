import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { peakOver, withPeakMemory } from '../../lib/cli/bench/memory.ts';
import { maxRelativeDifference } from '../../lib/cli/bench/timing.ts';
import { formatPeak } from '../../lib/cli/format.ts';
import { CLI, runProcess, temporaryFolder } from './run.ts';

/** PyTorch 2.13's own result for the same experiment on a CPU. */
const SEED_HEAD = [-388.0336, -89.5678, 32.7444];
const SEED_TAIL = [2202.5828, -83.5718, -1066.5721];

const readJson = async (path: string) => JSON.parse(await readFile(path, 'utf8'));

it('runs the seed experiment', { timeout: 120_000 }, async () => {
  const folder = await temporaryFolder();
  const { code, stdout, stderr } = await runProcess(
    ['bench', '--repeat', '2', '--json', 'out/result.json', '--trace', 'traces', '--row-limit', '5'],
    { cwd: folder },
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);

  const tables = stdout.split('Matrix-vector product: ').slice(1);
  expect(tables.map((table) => table.split('\n')[0])).toEqual(['Dense', 'On-The-Fly']);
  for (const table of tables) {
    expect(table).toMatch(/Name\s+Self CPU %\s+Self CPU\s+CPU total %/);
    expect(table).toMatch(/Self CPU time total: [\d.]+(us|ms|s)/);
    expect(table).toContain('aten::');
  }
  expect(stdout).toContain('-388.03');

  const result = await readJson(join(folder, 'out/result.json'));
  expect(result).toMatchObject({
    model: '4-64-64-1 tanh',
    parameterCount: 4545,
    batch: 4096,
    dtype: 'float32',
    device: 'cpu',
    threads: expect.any(Number),
    libtorchVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
  });
  for (const product of [result.dense, result.onTheFly]) {
    expect(product.minMs).toBeGreaterThan(0);
    expect(product.medianMs).toBeGreaterThanOrEqual(product.minMs);
    expect(product.runs).toBe(2);
    for (const [actual, expected] of [
      [product.head, SEED_HEAD],
      [product.tail, SEED_TAIL],
    ]) {
      expect(actual).toHaveLength(3);
      for (let i = 0; i < 3; i++) expect(Math.abs(actual[i] / expected[i] - 1)).toBeLessThan(1e-3);
    }
  }
  expect(result.maxRelativeDifference).toBeGreaterThan(0);
  expect(result.maxRelativeDifference).toBeLessThan(1e-4);
  expect(result.speedup).toBeCloseTo(result.dense.minMs / result.onTheFly.minMs);
  // J alone is 4096 × 4545 floats, and F 4545².
  expect(result.dense.peakAllocatedBytes).toBeGreaterThan(4545 ** 2 * 4);
  expect(result.dense.peakBytes).toBeGreaterThan(4545 ** 2 * 4);
  expect(result.onTheFly.peakBytes).toBeGreaterThan(0);
  expect(result.onTheFly.peakAllocatedBytes).toBeLessThan(4096 * 4545 * 4);

  for (const method of ['dense', 'onTheFly']) {
    const trace = await readJson(join(folder, 'traces', `${method}.json`));
    const names = trace.traceEvents.map((event: { name: string }) => event.name);
    expect(names.some((name: string) => name.startsWith('aten::'))).toBe(true);
  }
});

it('takes any size, precision, threads and chunks', { timeout: 60_000 }, async () => {
  const folder = await temporaryFolder();
  const sizes = ['--inputs', '3', '--outputs', '2', '--hidden', '8', '--layers', '3', '--batch', '37'];
  const how = ['--dtype', 'float64', '--threads', '1', '--chunk-size', '10', '--seed', '5', '--repeat', '1'];
  const { code } = await runProcess(
    ['bench', ...sizes, ...how, '--sort-by', 'cpu_time_total', '--json', 'r.json'],
    {
      cwd: folder,
    },
  );
  expect(code).toBe(0);
  const result = await readJson(join(folder, 'r.json'));
  expect(result).toMatchObject({ model: '3-8-8-8-2 tanh', dtype: 'float64', threads: 1, batch: 37 });
  expect(result.parameterCount).toBe(3 * 8 + 8 + 2 * (8 * 8 + 8) + 8 * 2 + 2);
  expect(result.maxRelativeDifference).toBeLessThan(1e-10);
});

it('says with the estimate when dense cannot fit, and fails as nothing was compared', {
  timeout: 60_000,
}, async () => {
  const folder = await temporaryFolder();
  const { code, stdout, stderr } = await runProcess(
    ['bench', '--hidden', '1024', '--batch', '32', '--repeat', '1', '--json', 'r.json'],
    { cwd: folder },
  );
  expect(code).toBe(1);
  expect(stderr).toMatch(/^torch-curvature: the dense product was not run.*\d.*\n$/);
  expect(stdout).toContain('does not fit');
  const result = await readJson(join(folder, 'r.json'));
  expect(result).toMatchObject({ dense: null, speedup: null, maxRelativeDifference: null });
  expect(result.onTheFly.minMs).toBeGreaterThan(0);
});

it('measures differences against the largest element, and lets no NaN pass', () => {
  const reference = new Float64Array([4, -8, 0]);
  expect(maxRelativeDifference(reference, reference)).toBe(0);
  expect(maxRelativeDifference(new Float64Array([4, -8, 2]), reference)).toBe(0.25);
  expect(maxRelativeDifference(new Float64Array(3), new Float64Array(3))).toBe(0);
  expect(maxRelativeDifference(new Float64Array([1, 0, 0]), new Float64Array(3))).toBe(Infinity);
  expect(maxRelativeDifference(new Float64Array([4, Number.NaN, 0]), reference)).toBeNaN();
});

it('measures the peak above what was resident, not above an earlier peak', () => {
  const MB = 1e6;
  const { memory, outcome } = withPeakMemory(() => Buffer.alloc(300 * MB, 1));
  expect(outcome).toHaveLength(300 * MB);
  expect(memory.isUpperBound).toBe(false);
  expect(memory.bytes).toBeGreaterThan(250 * MB);
  expect(memory.bytes).toBeLessThan(400 * MB);

  const before = { now: 50 * MB, peak: 60 * MB };
  expect(peakOver(before, 75 * MB)).toEqual({ bytes: 25 * MB, isUpperBound: false });
  const bound = peakOver(before, 60 * MB);
  expect(bound).toEqual({ bytes: 10 * MB, isUpperBound: true });
  const printed = (memory: typeof bound) =>
    formatPeak({ peakBytes: memory.bytes, peakBytesIsUpperBound: memory.isUpperBound });
  expect(printed(bound)).toBe('< 10.0 MB');
  expect(printed(peakOver({ now: MB, peak: MB }, MB))).toBe('< 4.10 kB');
});

it.runIf(process.platform === 'linux')('ended by a signal, it ends who measures for it', async () => {
  const args = ['bench', '--hidden', '512', '--batch', '65536', '--repeat', '1'];
  const bench = spawn(process.execPath, [CLI, ...args], { stdio: 'ignore' });
  const ended = once(bench, 'exit');
  const children = async () =>
    (await readFile(`/proc/${bench.pid}/task/${bench.pid}/children`, 'utf8'))
      .trim()
      .split(' ')
      .filter(Boolean);
  let measuring: string[] = [];
  while (measuring.length === 0 && bench.exitCode === null) {
    await setTimeout(20);
    measuring = await children();
  }
  bench.kill('SIGTERM');
  expect(await ended).toEqual([null, 'SIGTERM']);
  const gone = async () => !existsSync(`/proc/${measuring[0]}`);
  await expect.poll(gone, { timeout: 5_000 }).toBe(true);
});
