/** Settings of the process: what may run, wait and be held; what `info` counts of it; the first product. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  cg,
  configure,
  customOperator,
  eigsh,
  Generator,
  info,
  type LinearOperator,
  Model,
  matvecDense,
  matvecOnTheFly,
  nn,
  trace,
  warmUp,
  xdiag,
  xtrace,
} from '../../lib/index.ts';

const NO_LIMITS = { concurrency: Infinity, maxQueue: Infinity, memoryLimit: Infinity };
const model = Model.sequential([nn.linear(4, 64), nn.tanh(), nn.linear(64, 64), nn.tanh(), nn.linear(64, 1)]);
const generator = new Generator(1);
const params = model.init({ generator });
const v = generator.randn([model.parameterCount]).data as Float32Array;
const problemOf = (rows: number) => ({ model, params, x: generator.randn([rows, 4]) });
/** Takes long beside everything else here. */
const heavy = problemOf(8192);
const small = problemOf(8);

let threads: number;
beforeAll(() => {
  ({ threads } = configure());
});
afterEach(() => {
  configure({ ...NO_LIMITS, threads });
});

/** A product that occupies the one place there is, until it is stopped. */
function occupied() {
  configure({ concurrency: 1 });
  const controller = new AbortController();
  const product = matvecDense(heavy, v, { chunkSize: 8, signal: controller.signal }).catch((error) => error);
  return {
    async end() {
      controller.abort();
      await product;
    },
  };
}

describe('configure', () => {
  it('tells the settings in force, and changes those that are given', () => {
    expect(configure()).toEqual({ ...NO_LIMITS, threads: info().threads });
    expect(configure({ maxQueue: 3 })).toEqual({ ...NO_LIMITS, maxQueue: 3, threads });
    expect(configure({ concurrency: 2, threads: 1 })).toEqual({
      ...NO_LIMITS,
      concurrency: 2,
      maxQueue: 3,
      threads: 1,
    });
    expect(info().threads).toBe(1);
    expect(configure({ memoryLimit: 2 ** 30 }).memoryLimit).toBe(2 ** 30);
  });

  it('refuses settings that are wrong, by name', () => {
    for (const [wrong, error] of [
      [{ concurrency: 0 }, RangeError],
      [{ maxQueue: -1 }, RangeError],
      [{ maxQueue: 1.5 }, RangeError],
      [{ memoryLimit: Number.NaN }, RangeError],
      [{ threads: Infinity }, RangeError],
      [{ threads: '2' }, TypeError],
      [{ memoryLimit: '1 GiB' }, TypeError],
      [{ maxqueue: 1 }, TypeError],
    ] as const) {
      const [name] = Object.keys(wrong);
      expect(() => configure(wrong as never)).toThrow(error);
      expect(() => configure(wrong as never)).toThrow(name);
    }
    expect(configure()).toEqual({ ...NO_LIMITS, threads });
  });

  it('takes no more threads than there are cores', async () => {
    expect(configure({ threads: 1024 }).threads).toBe(info().cores);
    const expected = await matvecOnTheFly(small, v, { threads: 1 });
    expect((await matvecOnTheFly(small, v, { threads: 1024 })).length).toBe(expected.length);
  });
});

describe('a queue that is full', () => {
  it('refuses one more with ERR_BUSY, and counts what runs and waits', async () => {
    const first = occupied();
    configure({ maxQueue: 2 });
    const waiting = [matvecOnTheFly(small, v), matvecOnTheFly(small, v)];
    expect(info()).toMatchObject({ running: 1, queued: 2 });
    await expect(matvecOnTheFly(small, v)).rejects.toMatchObject({
      code: 'ERR_BUSY',
      message: expect.stringMatching(/at most 2 may wait .*maxQueue/),
    });
    await first.end();
    const [a, b] = await Promise.all(waiting);
    expect(a).toEqual(b);
    expect(info()).toMatchObject({ running: 0, queued: 0 });
  });

  it('lets run what need not wait', async () => {
    configure({ maxQueue: 0 });
    expect(await matvecOnTheFly(small, v)).toHaveLength(model.parameterCount);
    const first = occupied();
    await expect(matvecOnTheFly(small, v)).rejects.toMatchObject({ code: 'ERR_BUSY' });
    await first.end();
  });

  it('has room for what a custom operation asks for while it waits', async () => {
    configure({ concurrency: 1, maxQueue: 1 });
    const operator = customOperator({
      shape: [model.parameterCount, model.parameterCount],
      dtype: 'float32',
      symmetric: true,
      matmat: async (u) => (await matvecOnTheFly(small, u)).map((each, i) => each + u[i]!),
    });
    const { converged } = await cg(operator, v);
    expect(converged).toBe(true);
  });
});

it('takes an aborted operation out of the queue at once', async () => {
  const first = occupied();
  const controller = new AbortController();
  const reason = new Error('gone');
  const waiting = matvecOnTheFly(small, v, { signal: controller.signal });
  const behind = matvecOnTheFly(small, v);
  expect(info()).toMatchObject({ running: 1, queued: 2 });
  controller.abort(reason);
  expect(info()).toMatchObject({ running: 1, queued: 1 });
  await expect(waiting).rejects.toBe(reason);
  expect(info().running).toBe(1);
  await first.end();
  expect(await behind).toHaveLength(model.parameterCount);
});

describe('memoryLimit', () => {
  it('refuses what would not fit, with an estimate, before it begins', async () => {
    configure({ memoryLimit: info().bytesHeld + 2 ** 24 });
    await expect(matvecDense(problemOf(2048), v)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringMatching(/needs about .*, .* are available/),
    });
  });

  it.each([
    ['xtrace', (op: LinearOperator) => xtrace(op, { samples: 2000 })],
    ['xdiag', (op: LinearOperator) => xdiag(op, { samples: 2000 })],
    ['hutch++', (op: LinearOperator) => trace(op, { samples: 3000, method: 'hutch++' })],
    ['eigsh', (op: LinearOperator) => eigsh(op, { k: 900 })],
    ['toDense', (op: LinearOperator) => op.toDense()],
  ])('refuses %s, with an estimate, before its first product', async (_, solve) => {
    let products = 0;
    const matmat = (vectors: Float32Array<ArrayBuffer>) => {
      ++products;
      return vectors;
    };
    using op = customOperator({ shape: [2 ** 16, 2 ** 16], symmetric: true, matmat });
    configure({ memoryLimit: info().bytesHeld + 2 ** 26 });
    await expect(solve(op)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringMatching(/needs about .*, .* are available/),
    });
    expect(products).toBe(0);
  });

  it('ends what holds more than it, and says which option it is', async () => {
    const wide = Model.sequential([nn.linear(4, 2048), nn.softmax(1), nn.linear(2048, 1)]);
    const problem = { model: wide, params: wide.init(), x: generator.randn([4096, 4]) };
    const u = generator.randn([wide.parameterCount]).data as Float32Array;
    const before = info().bytesHeld;
    configure({ memoryLimit: before + 2 ** 24 });
    await expect(matvecOnTheFly(problem, u, { engine: 'autograd', chunkSize: 4096 })).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringContaining('memoryLimit'),
    });
    configure({ memoryLimit: Infinity });
    expect(await matvecOnTheFly(problem, u, { engine: 'autograd' })).toHaveLength(wide.parameterCount);
  });

  it('counts what is held, and what is given back', async () => {
    const { linearize } = await import('../../lib/index.ts');
    const before = info().bytesHeld;
    const linearization = await linearize(problemOf(4096));
    expect(info().bytesHeld - before).toBeGreaterThan(4096 * 64 * 4);
    linearization.dispose();
    expect(info().bytesHeld).toBe(before);
  });
});

it('ends threads that have nothing to do', async () => {
  await Promise.all([matvecOnTheFly(small, v, { threads: 1 }), matvecOnTheFly(small, v, { threads: 1 })]);
  const idle = () => info().idleThreads;
  expect(idle()).toBeGreaterThan(0);
  for (let i = 0; idle() > 0 && i < 300; i++) await sleep(100);
  expect(idle()).toBe(0);
  expect(await matvecOnTheFly(small, v)).toHaveLength(model.parameterCount);
});

it('warms up with a few rows of a problem', async () => {
  expect(await warmUp(heavy)).toBeUndefined();
  expect(await warmUp(small, { engine: 'autograd', threads: 1 })).toBeUndefined();
  await expect(warmUp({ model, params: params.subarray(1), x: small.x })).rejects.toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
  });
  await expect(warmUp(heavy, { engine: 'fast' as never })).rejects.toThrow(RangeError);
  const { x: _x, ...lacking } = heavy;
  await expect(warmUp(lacking as never)).rejects.toThrow(/^x should be an object, got undefined/);
  await expect(warmUp({ ...heavy, x: [null] } as never)).rejects.toThrow(/^x\[0\] should be an object/);
  const reason = new Error('no');
  await expect(warmUp(heavy, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
});
