/** Operators over processes of their own, as users start them, against one process that has all rows. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as tc from '../../lib/index.ts';
// @ts-expect-error a script that the processes run, too
import { cases } from '../fixtures/distributed/cases.mjs';
import { relativeError } from '../support/models.ts';
import { onRanks } from './ranks.ts';

type Case = (group: tc.ProcessGroup | undefined, rows: [number, number]) => Promise<ArrayLike<number>>;

const alone = new Map<string, Float64Array>();
/** What one process makes of all rows. */
async function expected(name: string, make: Case) {
  if (!alone.has(name)) alone.set(name, Float64Array.from(await make(undefined, [0, 12])));
  return alone.get(name)!;
}

describe.each([2, 4])('%i ranks with uneven parts of the rows', (ranks) => {
  it('find what one process does, with the same bits on each', async () => {
    const ended = await onRanks(ranks, 'all');
    const [first] = ended;
    for (const rank of ended) expect(rank).toEqual(first);
    expect(first).toMatchObject({ code: 0, signal: null });
    const { sync, atOnce, ...found } = first!.found as Record<string, number[]>;
    const sum = (ranks * (ranks + 1)) / 2;
    expect([sync, atOnce]).toEqual([[sum], [sum, 2 * sum, 3 * sum]]);
    const all = cases(tc) as Record<string, Case>;
    expect(Object.keys(found)).toEqual(Object.keys(all));
    for (const [name, make] of Object.entries(all)) {
      const one = await expected(name, make);
      expect(Math.max(...one.map(Math.abs)), name).toBeGreaterThan(1e-3);
      expect(relativeError(Float64Array.from(found[name]!), one), name).toBeLessThan(1e-12);
    }
  });
});

const TIMEOUT = { TEST_TIMEOUT: '60000' };

describe.each([2, 4])('of %i ranks', (ranks) => {
  it('one is killed in the middle of a product: the others hear of it long before the timeout', async () => {
    const ended = await onRanks(ranks, 'killed', { env: TIMEOUT });
    expect(ended.pop()).toMatchObject({ found: undefined, signal: 'SIGKILL' });
    for (const { found, code } of ended) {
      expect(code).toBe(0);
      expect(found).toMatchObject({
        code: 'ERR_DISTRIBUTED',
        message: expect.stringMatching(
          new RegExp(`lost contact: .*ranks that do not answer: ${ranks - 1}\\)`),
        ),
        afterwards: expect.stringContaining('is of no more use'),
      });
      expect(found!.took).toBeLessThan(30_000);
    }
  });
});

it('a rank hangs: the others fail within the timeout, and say which', async () => {
  const ended = await onRanks(3, 'hung', { hangs: 2, env: { TEST_TIMEOUT: '2000' } });
  expect(ended.pop()).toMatchObject({ found: undefined, signal: 'SIGKILL' });
  const codes = ended.map(({ found }) => found!.code);
  expect(codes).toContain('ERR_TIMEOUT');
  for (const { found, code } of ended) {
    expect(code).toBe(0);
    expect(found!.code).toMatch(/^ERR_(TIMEOUT|DISTRIBUTED)$/);
    expect(found!.message).toContain('ranks that do not answer: 2');
  }
});

it('rank 0, which keeps the store, hangs', async () => {
  const ended = await onRanks(2, 'hung', { hangs: 0, env: { TEST_TIMEOUT: '2000' } });
  expect(ended[1]!.found).toMatchObject({ code: 'ERR_TIMEOUT', message: expect.stringContaining('rank 0') });
});

/** A Python that has torchrun. */
const python = [process.env.PYTHON, 'python3'].find(
  (name) => name !== undefined && spawnSync(name, ['-c', 'import torch.distributed.run']).status === 0,
);

it.skipIf(python === undefined)(
  `by torchrun, which keeps the store${python ? '' : ' (skipped: no Python with PyTorch; PYTHON names one)'}`,
  () => {
    const script = fileURLToPath(new URL('../fixtures/distributed/rank.mjs', import.meta.url));
    const launch = ['-m', 'torch.distributed.run', '--standalone', '--no-python', '--nproc-per-node', '2'];
    const { status, stdout } = spawnSync(python!, [...launch, process.execPath, script, 'again'], {
      encoding: 'utf8',
      env: { ...process.env, OMP_NUM_THREADS: '1' },
    });
    expect(status).toBe(0);
    expect(stdout.split('\n').sort()).toEqual(['', '{"sums":[3,3,3]}', '{"sums":[3,3,3]}']);
  },
);

const traces = spawnSync('strace', ['-f', 'true']).status === 0;

it.skipIf(!traces)(
  `ranks that meet at an address ask no name server${traces ? '' : ' (skipped: there is no strace, or it may not trace)'}`,
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const prefix = ['strace', '-f', '-ff', '-e', 'trace=connect', '-o', join(folder, 'calls')];
    for (const { found, code } of await onRanks(2, 'left', { prefix })) {
      expect(code).toBe(0);
      expect(found).toHaveProperty('rank');
    }
    const calls = await Promise.all(
      (await readdir(folder)).map((name) => readFile(join(folder, name), 'utf8')),
    );
    expect(calls.join('')).toMatch(/connect\(.*"(::ffff:)?127\.0\.0\.1"/);
    expect(calls.join('')).not.toContain('htons(53)');
  },
);

it('groups that follow one another at one place', async () => {
  for (const { found, code } of await onRanks(2, 'again')) {
    expect({ found, code }).toEqual({ found: { sums: [3, 3, 3] }, code: 0 });
  }
});

it('processes that never close their group end all the same', async () => {
  const ended = await onRanks(2, 'left');
  for (const [rank, each] of ended.entries())
    expect(each).toMatchObject({ found: { rank }, stderr: '', code: 0, signal: null });
});
