/** Promises: the event loop stays free, inputs are safe, products stop, and many at once are right. */
import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { Generator, Model, matvecDense, matvecOnTheFly, matvecOnTheFlySync, nn } from '../../lib/index.ts';
import { byCounts } from '../support/counts.ts';
import { relativeError } from '../support/models.ts';

const model = Model.sequential([nn.linear(4, 64), nn.tanh(), nn.linear(64, 64), nn.tanh(), nn.linear(64, 1)]);

function problemOf(rows: number) {
  const generator = new Generator(1);
  const params = model.init({ generator });
  const x = generator.randn([rows, 4]);
  const v = generator.randn([model.parameterCount]).data as Float32Array;
  return { problem: { model, params, x }, v };
}

it('keeps the event loop free', async () => {
  const { problem, v } = problemOf(4096);
  let turns = 0;
  const timer = setInterval(() => {
    turns++;
  }, 1);
  await matvecDense(problem, v);
  clearInterval(timer);
  // Counted in turns of the loop, as times depend on what else the machine does: a product on this thread would leave one.
  expect(turns).toBeGreaterThan(10);
});

it('copies its inputs: they may be changed and transferred at once', async () => {
  const { problem, v } = problemOf(512);
  const expected = matvecOnTheFlySync(problem, v);
  const [params, data] = [problem.params.slice(), problem.x.data.slice() as Float32Array];
  const changed = v.slice();
  const pending = matvecOnTheFly({ model, params, x: { data, shape: problem.x.shape } }, changed);
  params.fill(0);
  changed.fill(Number.NaN);
  structuredClone(data, { transfer: [data.buffer as ArrayBuffer] });
  expect(await pending).toEqual(expected);
});

it('runs many products at once, each right', async () => {
  const { problem, v } = problemOf(300);
  const expected = matvecOnTheFlySync(problem, v);
  const results = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      i % 8 === 0
        ? matvecDense(problem, v)
        : matvecOnTheFly(problem, v, { chunkSize: 10 + i, threads: 1 + (i % 2) }),
    ),
  );
  for (const result of results) expect(relativeError(result, expected)).toBeLessThan(1e-5);
});

it('stops between chunks when its signal is aborted', async () => {
  const { problem, v } = problemOf(byCounts(2048, 4096));
  // In time on the processor, which other work on the machine does not lengthen.
  const cpuTime = async (body: () => Promise<unknown>) => {
    const before = process.cpuUsage();
    await body();
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const whole = await cpuTime(() => matvecDense(problem, v, { chunkSize: 16 }));
  const stopped = await cpuTime(async () => {
    const controller = new AbortController();
    const pending = matvecDense(problem, v, { chunkSize: 16, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await expect(pending).rejects.toThrow('enough');
  });
  expect(stopped).toBeLessThan(whole / 2);
  // Nothing is left over that would disturb the next product.
  expect(relativeError(await matvecOnTheFly(problem, v), matvecOnTheFlySync(problem, v))).toBeLessThan(1e-6);
});

it('listens to a signal once for all that it may stop, and no longer than needed', async () => {
  const { problem, v } = problemOf(4096);
  const controller = new AbortController();
  const { signal } = controller;
  const listeners = () => getEventListeners(signal, 'abort').length;
  const ask = () => Array.from({ length: 12 }, () => matvecOnTheFly(problem, v, { signal }));
  const ended = Promise.all(ask());
  expect(listeners()).toBe(1);
  await ended;
  expect(listeners()).toBe(0);
  const stopped = Promise.allSettled(ask());
  controller.abort(new Error('enough'));
  // The first ones may have ended before.
  const rejected = (await stopped).filter(({ status }) => status === 'rejected');
  expect(rejected.length).toBeGreaterThan(0);
  for (const each of rejected) expect(each).toMatchObject({ reason: { message: 'enough' } });
});

it('does not start when its signal is aborted already', async () => {
  const { problem, v } = problemOf(4);
  const reason = new Error('too late');
  const signal = AbortSignal.abort(reason);
  await expect(matvecOnTheFly(problem, v, { signal })).rejects.toBe(reason);
  expect(() => matvecOnTheFlySync(problem, v, { signal })).toThrow(reason);
  await expect(matvecOnTheFly(problem, v, { signal: AbortSignal.timeout(60_000) })).resolves.toBeDefined();
});

it('leaves the process free to end, and ends workers with products in flight', {
  timeout: 60_000,
}, async () => {
  const script = fileURLToPath(new URL('../fixtures/workers.mjs', import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script], { timeout: 50_000 });
  expect(stdout.trim().split('\n')).toEqual([
    'three workers agree',
    'terminated in flight',
    'main still works',
  ]);
});
