/** Operators over processes of their own, as users start them, against one process that has all rows. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import * as tc from '../../lib/index.ts';
// @ts-expect-error a script that the processes run, too
import { cases } from '../fixtures/distributed/cases.mjs';
import { byCounts, someOf } from '../support/counts.ts';
import { relativeError } from '../support/models.ts';
import { type Ended, onRanks } from './ranks.ts';

type Case = (group: tc.ProcessGroup | undefined, rows: [number, number]) => Promise<ArrayLike<number>>;

const ALL = cases(tc) as Record<string, Case>;
const alone = new Map<string, Float64Array>();
/** What one process makes of all rows. */
async function expected(name: string, make: Case) {
  if (!alone.has(name)) alone.set(name, Float64Array.from(await make(undefined, [0, 12])));
  return alone.get(name)!;
}

/** What the ranks found is what one process does, with the same bits on each. */
async function expectAsAlone(ended: readonly Ended[], names: readonly string[]) {
  const [first] = ended;
  for (const rank of ended) expect(rank).toEqual(first);
  expect(first).toMatchObject({ code: 0, signal: null });
  const { sync, atOnce, ...found } = first!.found as Record<string, number[]>;
  const sum = (ended.length * (ended.length + 1)) / 2;
  expect([sync, atOnce]).toEqual([[sum], [sum, 2 * sum, 3 * sum]]);
  expect(Object.keys(found)).toEqual(names);
  for (const name of names) {
    const one = await expected(name, ALL[name]!);
    expect(Math.max(...one.map(Math.abs)), name).toBeGreaterThan(1e-3);
    expect(relativeError(Float64Array.from(found[name]!), one), name).toBeLessThan(1e-12);
  }
}

describe.each(someOf([2, 4]))('%i ranks with uneven parts of the rows', (ranks) => {
  it('find what one process does, with the same bits on each', async () => {
    await expectAsAlone(await onRanks(ranks, 'all'), Object.keys(ALL));
  });
});

const MANY = byCounts(4, 8);
it(`${MANY} ranks, some of which have no rows`, async () => {
  const names = ['gramian, weighted and centered', 'cg', 'ntk, traced', 'kfac'];
  await expectAsAlone(await onRanks(MANY, 'all', { env: { TEST_CASES: names.join(';') } }), names);
});

const TIMEOUT = { TEST_TIMEOUT: '60000' };

const KILLED: [number, number, string][] = [
  [4, 0, 'killed'],
  [2, 1, 'killed'],
  [4, 3, 'killed'],
  [4, 1, 'killedMaking'],
];
describe.each(someOf(KILLED))('of %i ranks, number %i is %s', (ranks, unreliable, scenario) => {
  it('in the middle of it: the others hear of it long before the timeout', async () => {
    const ended = await onRanks(ranks, scenario, { unreliable, env: TIMEOUT });
    const [killed] = ended.splice(unreliable, 1);
    expect(killed).toMatchObject({ found: undefined, signal: 'SIGKILL' });
    const who = unreliable === 0 ? 'rank 0, which keeps' : `ranks that do not answer: ${unreliable}\\)`;
    for (const { found, code } of ended) {
      expect(code).toBe(0);
      expect(found).toMatchObject({
        code: 'ERR_DISTRIBUTED',
        message: expect.stringMatching(new RegExp(`lost contact: .*${who}`)),
        afterwards: expect.stringContaining('is of no more use'),
      });
      expect(found!.took).toBeLessThan(30_000);
    }
  });
});

const HUNG: [number, number][] = [
  [4, 0],
  [3, 2],
  [2, 0],
  [4, 1],
];
describe.each(someOf(HUNG, 5))('of %i ranks, number %i hangs', (ranks, hangs) => {
  it('the others fail within the timeout, and say which', async () => {
    // The timeout is that of the meeting as well, for which a busy machine may start the ranks seconds apart.
    const ended = await onRanks(ranks, 'hung', { hangs, env: { TEST_TIMEOUT: '6000' } });
    const [hung] = ended.splice(hangs, 1);
    expect(hung).toMatchObject({ found: undefined, signal: 'SIGKILL' });
    expect(ended.map(({ found }) => found!.code)).toContain('ERR_TIMEOUT');
    const who = hangs === 0 ? 'rank 0, which keeps' : `ranks that do not answer: ${hangs}`;
    for (const { found, code } of ended) {
      expect(code).toBe(0);
      expect(found!.code).toMatch(/^ERR_(TIMEOUT|DISTRIBUTED)$/);
      expect(found!.message).toContain(who);
      expect(found!.took).toBeLessThan(30_000);
    }
  });
});

it('processes that were started for groups of different sizes are told of both', async () => {
  const launch = (rank: number, _: number, port: number) => ({
    RANK: String(rank),
    WORLD_SIZE: String(rank === 0 ? 2 : 3),
    MASTER_ADDR: 'localhost',
    MASTER_PORT: String(port),
  });
  for (const { found, code } of await onRanks(2, 'left', { launch, env: TIMEOUT })) {
    expect(code).toBe(0);
    expect(found).toMatchObject({
      code: 'ERR_DISTRIBUTED',
      message: expect.stringMatching(/a gloo group of [23].*a gloo group of [23]/),
    });
  }
});

const traces = spawnSync('strace', ['-f', 'true']).status === 0;

it.skipIf(!traces).each(['127.0.0.1', 'localhost'])(
  `ranks that meet at %s ask no name server${traces ? '' : ' (skipped: there is no strace, or it may not trace)'}`,
  async (address) => {
    const folder = await mkdtemp(join(tmpdir(), 'ranks-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    const env = { MASTER_ADDR: address };
    const prefix = ['strace', '-f', '-ff', '-e', 'trace=connect', '-o', join(folder, 'calls')];
    for (const { found, code } of await onRanks(2, 'left', { prefix, env })) {
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
