/** Everything a caller can get wrong: a clear error with a stable code, from promises and at once, and no crash. */
import { describe, expect, it } from 'vitest';
import {
  denseOperator,
  eigshSync,
  Generator,
  kfacSync,
  lossAndGradientSync,
  lsmrSync,
  lsqrSync,
  Model,
  matvecDense,
  matvecDenseSync,
  matvecOnTheFly,
  matvecOnTheFlySync,
  neumannInverse,
  nn,
  optim,
  type Problem,
  TorchCurvatureError,
  tensor,
} from '../lib/index.ts';

const model = Model.sequential([nn.linear(2, 3), nn.tanh(), nn.linear(3, 1)]);
const P = model.parameterCount;
const x = tensor(new Float32Array(8), [4, 2]);
const problem: Problem = { model, params: new Float32Array(P), x };
const v = new Float32Array(P).fill(1);

function detached<T extends Float32Array | Float64Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

interface Call {
  problem?: unknown;
  v?: unknown;
  options?: unknown;
}

const CASES: [string, Call, string, RegExp][] = [
  [
    'a vector too short',
    { v: new Float32Array(P - 1) },
    'ERR_SHAPE_MISMATCH',
    /v should have 13 elements, got 12/,
  ],
  ['a vector too long', { v: new Float32Array(P + 1) }, 'ERR_SHAPE_MISMATCH', /v should have 13/],
  ['an empty vector', { v: new Float32Array(0) }, 'ERR_SHAPE_MISMATCH', /got 0/],
  [
    'a vector of the other precision',
    { v: new Float64Array(P) },
    'ERR_DTYPE_MISMATCH',
    /v should be float32/,
  ],
  ['a vector of integers', { v: new Int32Array(P) }, 'ERR_DTYPE_MISMATCH', /v .*Int32Array/],
  ['a vector of bytes', { v: new Uint8Array(P) }, 'ERR_DTYPE_MISMATCH', /v .*Uint8Array/],
  ['a list for a vector', { v: [1, 2, 3] }, 'ERR_INVALID_ARGUMENT', /v should be .*list of 3/],
  ['no vector', { v: undefined }, 'ERR_INVALID_ARGUMENT', /v should be .*undefined/],
  ['null for a vector', { v: null }, 'ERR_INVALID_ARGUMENT', /v should be .*null/],
  [
    'a vector by name that lacks one',
    { v: { '0.weight': new Float32Array(6) } },
    'ERR_SHAPE_MISMATCH',
    /v lacks .*'0.bias'/,
  ],
  [
    'a vector by name with another',
    { v: { '7.weight': new Float32Array(6) } },
    'ERR_SHAPE_MISMATCH',
    /'7.weight'/,
  ],
  [
    'parameters too short',
    { problem: { ...problem, params: new Float32Array(3) } },
    'ERR_SHAPE_MISMATCH',
    /params should have 13/,
  ],
  [
    'parameters of integers',
    { problem: { ...problem, params: new Int32Array(P) } },
    'ERR_DTYPE_MISMATCH',
    /params/,
  ],
  [
    'parameters of the other precision',
    { problem: { ...problem, params: new Float64Array(P) } },
    'ERR_DTYPE_MISMATCH',
    /x should be float64/,
  ],
  ['a detached vector', { v: detached(new Float32Array(P)) }, 'ERR_DETACHED_BUFFER', /v has lost its memory/],
  [
    'detached parameters',
    { problem: { ...problem, params: detached(new Float32Array(P)) } },
    'ERR_DETACHED_BUFFER',
    /params/,
  ],
  [
    'detached data',
    { problem: { ...problem, x: { data: detached(new Float32Array(8)), shape: [4, 2] } } },
    'ERR_DETACHED_BUFFER',
    /x.data/,
  ],
  [
    'data of the wrong width',
    { problem: { ...problem, x: tensor(new Float32Array(12), [4, 3]) } },
    'ERR_SHAPE_MISMATCH',
    /x does not fit the model/,
  ],
  [
    'data without a batch',
    { problem: { ...problem, x: tensor(new Float32Array(1), []) } },
    'ERR_SHAPE_MISMATCH',
    /batch/,
  ],
  [
    'data that does not fill its shape',
    { problem: { ...problem, x: { data: new Float32Array(7), shape: [4, 2] } } },
    'ERR_SHAPE_MISMATCH',
    /x.data should have 8 elements/,
  ],
  [
    'a negative size',
    { problem: { ...problem, x: { data: new Float32Array(8), shape: [-4, -2] } } },
    'ERR_INVALID_ARGUMENT',
    /at least 0, got -4/,
  ],
  [
    'a fractional size',
    { problem: { ...problem, x: { data: new Float32Array(8), shape: [3.2, 2.5] } } },
    'ERR_INVALID_ARGUMENT',
    /3.2/,
  ],
  [
    'sizes that overflow',
    { problem: { ...problem, x: { data: new Float32Array(8), shape: [2 ** 32, 2 ** 32] } } },
    'ERR_INVALID_ARGUMENT',
    /more elements than can be counted/,
  ],
  [
    'a size that is no number',
    { problem: { ...problem, x: { data: new Float32Array(8), shape: ['4', 2] } } },
    'ERR_INVALID_ARGUMENT',
    /x.shape/,
  ],
  [
    'no shape',
    { problem: { ...problem, x: { data: new Float32Array(8) } } },
    'ERR_INVALID_ARGUMENT',
    /x.shape/,
  ],
  [
    'an array for a tensor',
    { problem: { ...problem, x: new Float32Array(8) } },
    'ERR_INVALID_ARGUMENT',
    /x should be an object/,
  ],
  [
    'integers for a linear layer',
    { problem: { ...problem, x: tensor(new Int32Array(8), [4, 2]) } },
    'ERR_DTYPE_MISMATCH',
    /x does not fit the model/,
  ],
  ['two inputs for one', { problem: { ...problem, x: [x, x] } }, 'ERR_SHAPE_MISMATCH', /one tensor, got 2/],
  ['no problem', { problem: undefined }, 'ERR_INVALID_ARGUMENT', /problem/],
  ['no model', { problem: { ...problem, model: {} } }, 'ERR_INVALID_ARGUMENT', /problem.model/],
  [
    'an unknown device',
    { options: { device: 'tpu' } },
    'ERR_DEVICE_UNAVAILABLE',
    /'cpu', 'cuda' or 'cuda:N', got 'tpu'/,
  ],
  ['a device that is no name', { options: { device: 0 } }, 'ERR_INVALID_ARGUMENT', /device/],
  ['a device beyond counting', { options: { device: 'cuda:99999999999' } }, 'ERR_DEVICE_UNAVAILABLE', /cuda/],
  ['an unknown engine', { options: { engine: 'warp' } }, 'ERR_INVALID_ARGUMENT', /engine .*'autograd'/],
  ['chunks of no rows', { options: { chunkSize: 0 } }, 'ERR_INVALID_ARGUMENT', /chunkSize .*at least 1/],
  ['chunks of part of a row', { options: { chunkSize: 1.5 } }, 'ERR_INVALID_ARGUMENT', /chunkSize/],
  ['no threads', { options: { threads: -1 } }, 'ERR_INVALID_ARGUMENT', /threads/],
  ['a million threads', { options: { threads: 1e6 } }, 'ERR_INVALID_ARGUMENT', /threads .*1 to 1024/],
  ['a signal that is none', { options: { signal: {} } }, 'ERR_INVALID_ARGUMENT', /AbortSignal/],
  ['options that are none', { options: 3 }, 'ERR_INVALID_ARGUMENT', /options/],
  ['an out too short', { options: { out: new Float32Array(2) } }, 'ERR_SHAPE_MISMATCH', /out should have 13/],
  [
    'an out of the other precision',
    { options: { out: new Float64Array(P) } },
    'ERR_DTYPE_MISMATCH',
    /out should be float32/,
  ],
  ['a detached out', { options: { out: detached(new Float32Array(P)) } }, 'ERR_DETACHED_BUFFER', /out/],
];

describe.each(CASES)('%s', (_, call, code, message) => {
  const argumentsOf = (): [never, never, never] => [
    ('problem' in call ? call.problem : problem) as never,
    ('v' in call ? call.v : v) as never,
    call.options as never,
  ];
  // The caller's line is on the stack, however deep in the package the argument is refused.
  const stack = expect.stringContaining('bad-input.test.ts');
  const expected = expect.objectContaining({ code, message: expect.stringMatching(message), stack });

  it.each([
    ['matvecOnTheFlySync', matvecOnTheFlySync],
    ['matvecDenseSync', matvecDenseSync],
  ])('%s throws', (_, product) => {
    expect(() => product(...argumentsOf())).toThrow(expected);
  });

  it.each([
    ['matvecOnTheFly', matvecOnTheFly],
    ['matvecDense', matvecDense],
  ])('%s rejects', async (_, product) => {
    await expect(product(...argumentsOf())).rejects.toThrow(expected);
  });
});

it('says TypeError and RangeError for wrong arguments, TorchCurvatureError for the rest', () => {
  expect(() => matvecOnTheFlySync(problem, null as never)).toThrow(TypeError);
  expect(() => matvecOnTheFlySync(problem, v, { chunkSize: -1 })).toThrow(RangeError);
  expect(() => matvecOnTheFlySync(problem, new Float32Array(1))).toThrow(TorchCurvatureError);
  expect(() => matvecDenseSync(problem, v, { strategy: 'magic' as never })).toThrow(RangeError);
});

it('has no stack where none is wanted, and leaves the setting', () => {
  const refused = () => {
    try {
      matvecOnTheFlySync(problem, null as never);
    } catch (error) {
      return (error as Error).stack;
    }
    return 'not refused';
  };
  const limit = Error.stackTraceLimit;
  refused();
  expect(Error.stackTraceLimit).toBe(limit);
  try {
    Error.stackTraceLimit = 0;
    expect(refused()).not.toContain('\n');
    expect(Error.stackTraceLimit).toBe(0);
  } finally {
    Error.stackTraceLimit = limit;
  }
});

it('refuses a dense product that would not fit, with the estimate, before allocating', async () => {
  const wide = Model.sequential([
    nn.linear(64, 1024),
    nn.tanh(),
    nn.linear(1024, 1024),
    nn.tanh(),
    nn.linear(1024, 1),
  ]);
  const big = { model: wide, params: wide.init(), x: tensor(new Float32Array(64), [1, 64]) };
  const before = process.memoryUsage().rss;
  const call = () => matvecDenseSync(big, new Float32Array(wide.parameterCount));
  // F alone has 1117185² floats: 4.5 TiB.
  const expected = expect.objectContaining({
    code: 'ERR_OUT_OF_MEMORY',
    message: expect.stringMatching(/4\.5 TiB.*available/),
  });
  expect(call).toThrow(expected);
  await expect(matvecDense(big, new Float32Array(wide.parameterCount))).rejects.toThrow(expected);
  expect(process.memoryUsage().rss - before).toBeLessThan(1e9);
});

describe('layers', () => {
  it.each([
    [() => nn.linear(0, 1), RangeError, /linear: inputs/],
    [() => nn.linear(2.5, 1), RangeError, /linear: inputs/],
    [() => nn.linear(-3, 1), RangeError, /linear/],
    [() => nn.linear('4' as never, 1), TypeError, /linear: inputs .*'4'/],
    [() => nn.linear(4, undefined as never), TypeError, /linear: outputs/],
    [
      () => nn.linear(4, 1, { bais: true } as never),
      TypeError,
      /unknown option 'bais'.*linear; did you mean 'bias'/,
    ],
    [() => nn.linear(4, 1, { bias: 1 as never }), TypeError, /bias/],
    [() => nn.conv2d(3, 4, 3, { groups: 2 }), RangeError, /groups/],
    [() => nn.conv2d(3, 4, [3] as never), RangeError, /kernel should have 2/],
    [() => nn.conv1d(3, 4, 3, { padding: -1 }), RangeError, /padding/],
    [() => nn.groupNorm(3, 4), RangeError, /groups/],
    [() => nn.layerNorm([]), RangeError, /shape/],
    [() => nn.embedding(4, 2, { paddingIdx: 4 }), RangeError, /paddingIdx/],
    [() => nn.gelu({ approximate: 'sin' as never }), RangeError, /'none' or 'tanh'/],
    [() => nn.elu({ alpha: Number.NaN }), RangeError, /alpha/],
    [() => nn.flatten(0), RangeError, /batch/],
    [() => nn.squeeze(undefined as never), TypeError, /dim/],
    [() => nn.residual([]), RangeError, /at least one layer/],
    [() => Model.sequential([]), RangeError, /at least one layer/],
    [() => Model.sequential(nn.tanh() as never), TypeError, /list of layers/],
    [() => Model.sequential([nn.tanh as never]), TypeError, /layer 0/],
    [() => Model.sequential([null as never]), TypeError, /layer 0 .*null/],
    [() => Model.sequential([nn.linear(2 ** 40, 2 ** 40)]), RangeError, /more elements/],
  ])('%s', (call, kind, message) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
  });

  it('that do not fit together are found at the first use', () => {
    const broken = Model.sequential([nn.linear(2, 3), nn.linear(4, 1)]);
    expect(() => broken.forwardSync(broken.init(), x)).toThrow(
      expect.objectContaining({
        code: 'ERR_SHAPE_MISMATCH',
        message: expect.stringMatching(/x does not fit/),
      }),
    );
  });

  it('whose output has no batch are found at the first use', () => {
    const params = new Float32Array(0);
    const odd = Model.sequential([nn.squeeze(-1)]);
    expect(() => odd.forwardSync(params, tensor(new Float32Array(1), [1]))).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
    );
  });
});

describe('numbers beyond the precision that they are used in', () => {
  const single = denseOperator(tensor(Float32Array.of(2, 1, 1, 3), [2, 2]), { symmetric: true });
  const double = denseOperator(tensor(Float64Array.of(2, 1, 1, 3), [2, 2]), { symmetric: true });
  const b = Float32Array.of(1, 2);
  const loss = { ...problem, target: tensor(new Float32Array(4), [4, 1]), loss: 'mse' as const };
  const factors = kfacSync({ ...loss, params: model.init() });
  const far = 1e300;
  it.each<[string, () => unknown]>([
    ['sigma', () => eigshSync(single, { k: 1, sigma: -far })],
    ['lambda', () => single.damp(far)],
    ['c', () => single.scale(far)],
    ['c', () => single.multiply(-far)],
    ['damp', () => lsmrSync(single, b, { damp: far })],
    ['damp', () => lsqrSync(single, b, { damp: far })],
    ['scale', () => neumannInverse(single, { scale: far })],
    ['damping', () => factors.inverseSync({ damping: far, method: 'pi' })],
    ['damping', () => factors.logdetSync({ damping: far })],
    ['problem.l2', () => lossAndGradientSync({ ...loss, l2: far })],
    ['low', () => new Generator(0).uniform([2], { low: -far })],
    ['high', () => new Generator(0).uniform([2], { high: far })],
    ['high - low', () => new Generator(0).uniform([2], { low: -3e38, high: 3e38 })],
  ])('%s', (name, call) => {
    expect(call).toThrow(RangeError);
    const message = expect.stringMatching(new RegExp(`^${name} should be finite in float32, got`));
    expect(call).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message }));
  });

  it('of promises, of what is derived from them, and of float64', async () => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/^damping .*float32/) };
    for (const way of [optim.sr, optim.minSR])
      await expect(way(problem, new Float32Array(4), { damping: far })).rejects.toMatchObject(refused);
    expect(() => single.divide(1e-39)).toThrow(/1 \/ c is infinite/);
    const apart = { low: -1.7e308, high: 1.7e308, dtype: 'float64' } as const;
    expect(() => new Generator(0).uniform([2], apart)).toThrow(/^high - low should be finite in float64/);
  });

  it('are taken where it holds them', () => {
    const most = (2 - 2 ** -23) * 2 ** 127;
    expect(single.damp(most).matvecSync(Float32Array.of(1, 0))).toEqual(Float32Array.of(most, 1));
    expect(() => single.damp(most * (1 + 2 ** -52))).toThrow(RangeError);
    expect(double.damp(far).matvecSync(Float64Array.of(1, 0))).toEqual(Float64Array.of(far, 1));
    expect(new Generator(0).uniform([2], { low: most, high: most }).data).toEqual(
      Float32Array.of(most, most),
    );
  });
});

describe('tensor', () => {
  it('keeps the data and copies the shape', () => {
    const data = new Float32Array(6);
    const shape = [2, 3];
    const made = tensor(data, shape);
    shape[0] = 9;
    expect(made).toEqual({ data, shape: [2, 3] });
    expect(made.data).toBe(data);
    expect(tensor(new Float64Array(1), []).shape).toEqual([]);
    expect(tensor(new BigInt64Array(0), [0, 2 ** 40, 2 ** 40]).data).toHaveLength(0);
  });

  it.each([
    [() => tensor(new Float32Array(5), [2, 3]), 'ERR_SHAPE_MISMATCH'],
    [() => tensor([1, 2] as never, [2]), 'ERR_INVALID_ARGUMENT'],
    [() => tensor(new Uint16Array(2) as never, [2]), 'ERR_DTYPE_MISMATCH'],
    [() => tensor(new DataView(new ArrayBuffer(2)) as never, [2]), 'ERR_DTYPE_MISMATCH'],
    [() => tensor(new Float32Array(2), 2 as never), 'ERR_INVALID_ARGUMENT'],
    [() => tensor(detached(new Float32Array(2)), [2]), 'ERR_DETACHED_BUFFER'],
  ])('refuses %s', (call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }));
  });
});

describe('flatten, unflatten and init', () => {
  it.each([
    [() => model.flatten(null as never), 'ERR_INVALID_ARGUMENT'],
    [() => model.flatten({}), 'ERR_SHAPE_MISMATCH'],
    [() => model.flatten({ ...model.unflatten(v), '0.bias': new Float64Array(3) }), 'ERR_DTYPE_MISMATCH'],
    [() => model.flatten({ ...model.unflatten(v), '0.bias': new Float32Array(2) }), 'ERR_SHAPE_MISMATCH'],
    [() => model.flatten({ ...model.unflatten(v), extra: v }), 'ERR_SHAPE_MISMATCH'],
    [() => model.unflatten(new Float32Array(2)), 'ERR_SHAPE_MISMATCH'],
    [() => model.unflatten([] as never), 'ERR_INVALID_ARGUMENT'],
    [() => model.init({ seed: -1 }), 'ERR_INVALID_ARGUMENT'],
    [() => model.init({ dtype: 'half' as never }), 'ERR_INVALID_ARGUMENT'],
    [() => model.init({ generator: {} as never }), 'ERR_INVALID_ARGUMENT'],
    [() => model.init(null as never), 'ERR_INVALID_ARGUMENT'],
  ])('refuse %s', (call, code) => {
    expect(call).toThrow(expect.objectContaining({ code }));
  });
});
