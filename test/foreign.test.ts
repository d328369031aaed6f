/** Values and calls that the language itself would refuse, or trip over: found by the fuzzer of the API. */
import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { describe, expect, test } from 'vitest';
import {
  cg,
  cgSync,
  checkDeterministic,
  customOperator,
  denseOperator,
  diagonalOperator,
  Generator,
  gramian,
  gramianSync,
  linearizeSync,
  Model,
  matvecOnTheFly,
  matvecOnTheFlySync,
  nn,
  optim,
  profile,
  saveNpy,
  schedule,
  startProfile,
  tensor,
  warmUp,
} from '../lib/index.ts';
import { summary } from '../lib/solvers/solution.ts';

const model = Model.sequential([nn.linear(2, 1)]);
const params = Float32Array.of(1, 2, 3);
const x = tensor(Float32Array.of(1, 2), [1, 2]);
const problem = { model, params, x };
const INVALID = { code: 'ERR_INVALID_ARGUMENT' };

function revoked(target: object = {}): never {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy as never;
}

describe('a revoked Proxy', () => {
  test.each<[string, () => unknown]>([
    ['options', () => matvecOnTheFlySync(problem, params, revoked())],
    ['a problem', () => gramianSync(revoked())],
    ['a model', () => gramianSync({ ...problem, model: revoked() })],
    ['data', () => gramianSync({ ...problem, x: revoked([]) })],
    ['a shape', () => tensor(params, revoked([]))],
    ['a size', () => customOperator({ shape: [revoked()] as never, matmat: (v) => v })],
    ['a layer', () => Model.sequential([revoked()])],
    ['what a layer emits', () => Model.sequential([{ kind: 'own', emit: () => revoked() }])],
    ['an operator', () => cgSync(revoked(), params)],
    ['a signal', () => matvecOnTheFlySync(problem, params, { signal: revoked() })],
  ])('as %s', (_, call) => expect(call).toThrow(expect.objectContaining(INVALID)));

  test.each<[string, () => Promise<unknown>]>([
    ['a batch', () => gramian({ model, params, batches: [revoked()] })],
    ['an array to save', () => saveNpy('nowhere/x.npy', revoked())],
    ['batches', () => gramian({ model, params, batches: revoked() })],
    ['what batches() returns', () => gramian({ model, params, batches: () => revoked() })],
    ['what a profiled function returns', () => profile(() => revoked())],
  ])('as %s', (_, call) => expect(call()).rejects.toMatchObject(INVALID));
});

describe('methods called on something else', () => {
  const op = gramianSync(problem);
  const lin = linearizeSync(problem);
  test.each([undefined, null, {}, Object.create(op), new Proxy(op, {}), lin])('%#', async (self) => {
    expect(() => op.matvecSync.call(self as never, params)).toThrow(expect.objectContaining(INVALID));
    expect(() => op.dispose.call(self === lin ? {} : (self as never))).toThrow(
      expect.objectContaining(INVALID),
    );
    await expect(op.matvec.call(self as never, params)).rejects.toMatchObject(INVALID);
    expect(() => new Generator(0).randn.call(self as never, [1])).toThrow(/on an object of the class/);
  });

  test('keep their names and numbers of arguments', () => {
    expect([op.matvec.name, op.matvec.length]).toEqual(['matvec', 2]);
  });

  test('show themselves all the same', () => {
    expect(inspect(Object.getPrototypeOf(op))).toContain('LinearOperator');
    expect(inspect(Object.create(op))).toBe('[LinearOperator]');
  });

  test('an heir of a model is no model', () => {
    expect(() => gramianSync({ ...problem, model: Object.create(model) })).toThrow(/problem.model/);
  });
});

test('constructors that are not for callers say where such objects come from', () => {
  const loss = { ...problem, target: tensor(Float32Array.of(1), [1, 1]), loss: 'mse' } as const;
  for (const made of [model, startProfile().stop(), optim.newtonCG(loss)]) {
    const { constructor: type } = made as unknown as { constructor: new (...args: unknown[]) => unknown };
    expect(() => new type({})).toThrow(/comes from/);
  }
  const { constructor: type } = diagonalOperator(params) as unknown as {
    constructor: new (x: unknown) => unknown;
  };
  expect(() => new type({})).toThrow(expect.objectContaining(INVALID));
});

test.each([[9n], [Symbol('rows')]])('a number of rows that is none to warm up with (%#)', async (rows) => {
  const wrong = { data: x.data, shape: [rows, 2] };
  await expect(warmUp({ ...problem, x: wrong } as never)).rejects.toMatchObject(INVALID);
});

test('a layer that says it takes more sizes than any tensor has', () => {
  const shape = new Array(2 ** 32 - 1);
  const layer = { kind: 'own', takes: { shape }, emit: (_: unknown, value: unknown) => value };
  expect(() => Model.sequential([layer as never])).toThrow(/layer 0: takes.shape/);
});

describe('arrays that lie about themselves', () => {
  const lying = (name: string, value: unknown) => Object.defineProperty(params.slice(), name, { value });
  const expected = matvecOnTheFlySync(problem, params);
  test.each([
    ['length', 1000],
    ['buffer', new ArrayBuffer(0)],
    ['constructor', null],
    ['slice', () => null],
  ])('by %s are taken for what they are', async (name, value) => {
    const v = lying(name, value);
    expect(matvecOnTheFlySync(problem, v)).toEqual(expected);
    expect(await matvecOnTheFly({ model, params, batches: [{ x }] }, v)).toEqual(expected);
    expect(model.unflatten(lying(name, value))['0.bias']).toEqual(Float32Array.of(3));
  });

  test('that are out of their buffer', () => {
    const buffer = new (ArrayBuffer as never as new (n: number, o: object) => ArrayBuffer)(12, {
      maxByteLength: 12,
    });
    const gone = new Float32Array(buffer, 0, 3);
    (buffer as never as { resize(length: number): void }).resize(0);
    expect(() => matvecOnTheFlySync(problem, gone)).toThrow(
      expect.objectContaining({ code: 'ERR_DETACHED_BUFFER' }),
    );
  });

  test('lists of another realm and long sparse ones', () => {
    expect(tensor(params, runInNewContext('[3]')).shape).toEqual([3]);
    expect(() => Model.sequential(new Array(2 ** 32 - 1))).toThrow(/at most 100000 entries/);
    expect(() => tensor(params, new Array(2 ** 32 - 1))).toThrow(/at most 64 entries/);
  });

  test('long sparse data for a first product', async () => {
    const inputs = new Array(2 ** 32 - 1);
    await expect(warmUp({ ...problem, x: inputs })).rejects.toThrow(/x should have at most 100000 entries/);
  });
});

test('what is read from a list is read once', () => {
  let reads = 0;
  const layer = Object.defineProperty({ kind: 'own' }, 'emit', {
    get: () => (reads++ === 0 ? nn.tanh().emit : undefined),
  });
  expect(Model.sequential([layer as never]).parameterCount).toBe(0);
});

test('batches that are null are refused', async () => {
  await expect(gramian({ model, params, batches: null as never })).rejects.toMatchObject(INVALID);
});

test('a pattern of many stars takes no time', () => {
  expect(() => gramianSync(problem).submatrix([`${'*'.repeat(5000)}x`])).toThrow(/no parameter matches/);
  expect(gramianSync(problem).submatrix(['0.**ght']).shape).toEqual([2, 2]);
});

test('more right-hand sides than a call has room for arguments', () => {
  const record = {
    iterations: 1,
    residualNorm: 2,
    converged: true,
    reason: 'converged',
    message: '',
  } as const;
  const records = new Array(500_000).fill(record);
  expect(summary({ x: params, records })).toMatchObject({ iterations: 1, residualNorm: 2, converged: true });
});

test('numbers that do not fit the memory, on either side of the addon', async () => {
  const refused = expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY' });
  expect(() => new Generator(0).randn([2 ** 45])).toThrow(refused);
  expect(() => Model.sequential([nn.linear(2 ** 22, 2 ** 22)]).init()).toThrow(refused);
  const wide = customOperator({ shape: [1, 2 ** 50], matmat: (v) => v });
  await expect(checkDeterministic(wide)).rejects.toEqual(refused);
});

describe('promises of functions that should return none', () => {
  const reason = new Error('mine');
  const rejecting = (async () => Promise.reject(reason)) as never;

  test('onIteration: the call fails with the reason', async () => {
    const op = denseOperator(tensor(Float32Array.of(2, 0, 0, 1), [2, 2]), { symmetric: true });
    await expect(cg(op, Float32Array.of(1, 1), { onIteration: rejecting })).rejects.toBe(reason);
  });
  test('a schedule and a layer are refused, and nothing is left unhandled', async () => {
    const strays: unknown[] = [];
    const keep = (stray: unknown) => strays.push(stray);
    process.on('unhandledRejection', keep);
    expect(() => startProfile({ schedule: rejecting })).toThrow(/a schedule should return/);
    expect(() => Model.sequential([{ kind: 'own', emit: rejecting }])).toThrow(/should emit a value/);
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', keep);
    expect(strays).toEqual([]);
    expect(schedule({ active: 1 })(0)).toBe('record_and_save');
  });
});
