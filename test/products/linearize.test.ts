/** Laws of a kept linearization, over the table of models. */
import { describe, expect, it } from 'vitest';
import {
  Generator,
  type Linearization,
  type LinearizeOptions,
  linearize,
  linearizeSync,
  Model,
  nn,
  type Problem,
  type Tensor,
} from '../../lib/index.ts';
import {
  dot,
  MODEL_CASES,
  type ModelCase,
  problemOf,
  relativeError,
  toFloat32,
  vector,
} from '../support/models.ts';

/** How a linearization may be kept; each gives the same products. */
const KEPT: Record<string, LinearizeOptions> = {
  whole: {},
  'for a single product': { products: 1 },
  'by autograd': { engine: 'autograd' },
  'by autograd, for a single product': { engine: 'autograd', products: 1 },
  'row by row': { chunkSize: 1 },
  'in chunks, the last one ragged': { chunkSize: 2 },
  'in longer chunks': { chunkSize: 3 },
  'not at all: linearized anew in each product': { chunkSize: 2, memoryBudget: 1 },
  'on several threads': { threads: 3 },
};

const first = MODEL_CASES[0]!;
const v = Float64Array.from(first.v);
const u = Float64Array.from(first.u);

describe.each(MODEL_CASES.map((each) => [each.name, each] as const))('%s', (_, each: ModelCase) => {
  const problem = problemOf(each);
  const v = Float64Array.from(each.v);
  const u = Float64Array.from(each.u);

  it.each(Object.entries(KEPT))("kept %s, it gives PyTorch's numbers", (_, options) => {
    using lin = linearizeSync(problem, options);
    // Twice: the first product must leave what it used as it was.
    for (let time = 0; time < 2; time++) {
      expect(relativeError(lin.jvpSync(v).data, each.jv)).toBeLessThan(1e-11);
      expect(relativeError(lin.vjpSync(u), each.jtu)).toBeLessThan(1e-11);
      expect(relativeError(lin.matvecSync(v), each.jtjv)).toBeLessThan(1e-11);
    }
    expect(relativeError(lin.output.data, each.y.data)).toBeLessThan(1e-12);
  });

  it('says what it is of', () => {
    using lin = linearizeSync(problem);
    expect(lin.dtype).toBe('float64');
    expect(lin.device).toBe('cpu');
    expect(lin.outputShape).toEqual(each.y.shape);
    expect(lin.parameterCount).toBe(each.params.length);
    expect(lin.bytes).toBeGreaterThan(0);
    expect(lin.output.shape).toEqual(each.y.shape);
    expect(lin.jvpSync(v).shape).toEqual(each.y.shape);
  });

  it('gives the same from promises as on the calling thread', async () => {
    using lin = await linearize(problem);
    using twin = linearizeSync(problem);
    expect(lin.output).toEqual(twin.output);
    expect(await lin.matvec(v)).toEqual(twin.matvecSync(v));
    expect(await lin.jvp(v)).toEqual(twin.jvpSync(v));
    expect(await lin.vjp(u)).toEqual(twin.vjpSync(u));
    expect(await lin.vjp({ data: u, shape: each.y.shape })).toEqual(twin.vjpSync(u));
  });

  it('is adjoint: ⟨u, J v⟩ = ⟨Jᵀu, v⟩, and its matvec is Jᵀ after J', () => {
    using lin = linearizeSync(problem);
    const a = vector(v.length, 3);
    const b = vector(u.length, 4);
    const [ja, jtb] = [lin.jvpSync(a).data, lin.vjpSync(b)];
    const scale = Math.sqrt(dot(ja, ja) * dot(b, b)) + 1e-300;
    expect(Math.abs(dot(b, ja) - dot(jtb, a)) / scale).toBeLessThan(1e-13);
    expect(relativeError(lin.matvecSync(a), lin.vjpSync(ja))).toBeLessThan(1e-13);
  });

  it('gives them in float32 to its precision', () => {
    const { data, shape } = problem.x;
    const x: Tensor = { data: data instanceof Float64Array ? toFloat32(data) : data, shape };
    using lin = linearizeSync({ ...problem, params: toFloat32(each.params), x });
    expect(lin.dtype).toBe('float32');
    expect(lin.matvecSync(toFloat32(v))).toBeInstanceOf(Float32Array);
    expect(relativeError(lin.jvpSync(toFloat32(v)).data, each.jv)).toBeLessThan(5e-6);
    expect(relativeError(lin.vjpSync(toFloat32(u)), each.jtu)).toBeLessThan(5e-6);
    expect(relativeError(lin.matvecSync(toFloat32(v)), each.jtjv)).toBeLessThan(5e-6);
    expect(relativeError(lin.output.data, each.y.data)).toBeLessThan(5e-6);
  });
});

it('copies: parameters and data that change later change nothing', async () => {
  const { model, x } = problemOf(first);
  const params = Float64Array.from(first.params);
  const data = (x.data as Float64Array).slice();
  for (const options of [{}, { engine: 'autograd' }, { chunkSize: 4, memoryBudget: 1 }] as const) {
    params.set(first.params);
    data.set(x.data as Float64Array);
    const pending = linearize({ model, params, x: { data, shape: x.shape } }, options);
    params.fill(Number.NaN);
    data.fill(Number.NaN);
    using lin = await pending;
    expect(relativeError(await lin.matvec(v), first.jtjv)).toBeLessThan(1e-11);
    lin.output.data.fill(0);
    expect(relativeError(lin.output.data, first.y.data)).toBeLessThan(1e-12);
  }
});

it('takes parameters and tangents by name', () => {
  const { model, x } = problemOf(first);
  const byName = (flat: number[]) => model.unflatten(Float64Array.from(flat));
  using lin = linearizeSync({ model, params: byName(first.params), x });
  expect(relativeError(lin.matvecSync(byName(first.v)), first.jtjv)).toBeLessThan(1e-11);
  expect(relativeError(lin.jvpSync(byName(first.v)).data, first.jv)).toBeLessThan(1e-11);
});

it('writes into out, which may be the vector itself', async () => {
  using lin = linearizeSync(problemOf(first));
  const tangent = v.slice();
  expect(await lin.matvec(tangent, { out: tangent })).toBe(tangent);
  expect(relativeError(tangent, first.jtjv)).toBeLessThan(1e-11);
  const output = new Float64Array(u.length);
  expect(lin.jvpSync(v, { out: output }).data).toBe(output);
  expect(relativeError(output, first.jv)).toBeLessThan(1e-11);
  const gradient = new Float64Array(v.length);
  expect(lin.vjpSync(u, { out: gradient })).toBe(gradient);
  expect(relativeError(gradient, first.jtu)).toBeLessThan(1e-11);
});

it('gives zeros for an empty batch', async () => {
  for (const options of [{}, { engine: 'autograd' }, { chunkSize: 3 }] as const) {
    using lin = await linearize(
      { ...problemOf(first), x: { data: new Float64Array(0), shape: [0, 3] } },
      options,
    );
    expect(lin.output).toEqual({ data: new Float64Array(0), shape: [0, 1] });
    expect(await lin.matvec(v)).toEqual(new Float64Array(v.length));
    expect(await lin.jvp(v)).toEqual({ data: new Float64Array(0), shape: [0, 1] });
    expect(await lin.vjp(new Float64Array(0))).toEqual(new Float64Array(v.length));
  }
});

it('stops when its signal is aborted', async () => {
  const reason = new Error('too late');
  const signal = AbortSignal.abort(reason);
  await expect(linearize(problemOf(first), { signal })).rejects.toBe(reason);
  using lin = linearizeSync(problemOf(first));
  await expect(lin.matvec(v, { signal })).rejects.toBe(reason);
  expect(() => lin.jvpSync(v, { signal })).toThrow(reason);
});

describe('memory', () => {
  const model = Model.sequential([
    nn.linear(8, 128),
    nn.tanh(),
    nn.linear(128, 128),
    nn.tanh(),
    nn.linear(128, 2),
  ]);
  const params = model.init();
  const problem = (rows: number): Problem => ({ model, params, x: new Generator(1).randn([rows, 8]) });

  it('stays within its budget, whatever the engine', () => {
    const whole = linearizeSync(problem(1024)).bytes;
    for (const engine of ['fused', 'autograd'] as const) {
      const memoryBudget = Math.floor(whole / 3);
      using part = linearizeSync(problem(1024), { engine, chunkSize: 64, memoryBudget });
      using none = linearizeSync(problem(1024), { engine, chunkSize: 64, memoryBudget: 1 });
      expect(part.bytes).toBeGreaterThan(0);
      expect(part.bytes).toBeLessThanOrEqual(memoryBudget);
      expect(none.bytes).toBeLessThan(part.bytes);
      const tangent = new Generator(2).randn([model.parameterCount]).data;
      expect(relativeError(part.matvecSync(tangent), none.matvecSync(tangent))).toBeLessThan(1e-6);
    }
  });

  it('is freed by dispose, at the end of a using block too; every later use says so', async () => {
    const lin = await linearize(problemOf(first));
    expect(lin.disposed).toBe(false);
    lin.dispose();
    lin.dispose();
    expect(lin.disposed).toBe(true);
    const disposed = expect.objectContaining({
      code: 'ERR_DISPOSED',
      message: expect.stringContaining('the linearization'),
    });
    expect(() => lin.matvecSync(v)).toThrow(disposed);
    expect(() => lin.jvpSync(v)).toThrow(disposed);
    expect(() => lin.vjpSync(u)).toThrow(disposed);
    expect(() => lin.output).toThrow(disposed);
    await expect(lin.matvec(v)).rejects.toThrow(disposed);
    let escaped: Linearization;
    {
      using scoped = linearizeSync(problemOf(first));
      escaped = scoped;
    }
    expect(() => escaped.matvecSync(v)).toThrow(disposed);
  });

  it('stays until products in flight are done', async () => {
    const big = problem(2048);
    const tangent = new Generator(2).randn([model.parameterCount]).data;
    for (const memoryBudget of [undefined, 1]) {
      const lin = linearizeSync(big, { chunkSize: 256, ...(memoryBudget && { memoryBudget }) });
      const expected = lin.matvecSync(tangent);
      const pending = Array.from({ length: 4 }, () => lin.matvec(tangent));
      lin.dispose();
      for (const result of await Promise.all(pending)) {
        expect(relativeError(result, expected)).toBeLessThan(1e-6);
      }
    }
  });

  it('is freed by the garbage collector where nobody disposes', { timeout: 120_000 }, async () => {
    const { bytes } = linearizeSync(problem(4096));
    const count = Math.ceil(2e9 / bytes);
    const before = process.memoryUsage().rss;
    let most = 0;
    for (let i = 0; i < count; i++) {
      await linearize(problem(4096));
      // Finalizers run between turns of the event loop.
      await new Promise(setImmediate);
      most = Math.max(most, process.memoryUsage().rss - before);
    }
    expect(count * bytes).toBeGreaterThan(2e9 - 1);
    expect(most).toBeLessThan(5e8);
  });
});

describe('bad input', () => {
  const problem = problemOf(first);
  it.each([
    ['no problem', () => linearizeSync(undefined as never), TypeError, /problem/],
    ['no model', () => linearizeSync({ ...problem, model: {} as never }), TypeError, /problem.model/],
    ['a budget of nothing', () => linearizeSync(problem, { memoryBudget: 0 }), RangeError, /memoryBudget/],
    [
      'a budget of words',
      () => linearizeSync(problem, { memoryBudget: '1' as never }),
      TypeError,
      /memoryBudget/,
    ],
    ['no products', () => linearizeSync(problem, { products: 0 }), RangeError, /products/],
    ['half a chunk', () => linearizeSync(problem, { chunkSize: 0.5 }), RangeError, /chunkSize/],
    ['an unknown engine', () => linearizeSync(problem, { engine: 'warp' as never }), RangeError, /engine/],
    ['a signal that is none', () => linearizeSync(problem, { signal: {} as never }), TypeError, /signal/],
  ])('%s', (_, call, kind, message) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, (lin: Linearization) => unknown, string, RegExp]>([
    ['a short tangent', (lin) => lin.jvp(v.subarray(1)), 'ERR_SHAPE_MISMATCH', /v should have/],
    [
      'a tangent of the other precision',
      (lin) => lin.matvec(toFloat32(v)),
      'ERR_DTYPE_MISMATCH',
      /v should be/,
    ],
    ['a short cotangent', (lin) => lin.vjp(u.subarray(1)), 'ERR_SHAPE_MISMATCH', /u should have 6/],
    [
      'a cotangent of the other precision',
      (lin) => lin.vjp(toFloat32(u)),
      'ERR_DTYPE_MISMATCH',
      /u should be/,
    ],
    [
      'a cotangent of another shape',
      (lin) => lin.vjp({ data: u, shape: [1, 6] }),
      'ERR_SHAPE_MISMATCH',
      /u should have the shape \[6, 1\] of the outputs, got \[1, 6\]/,
    ],
    ['no cotangent', (lin) => lin.vjp(undefined as never), 'ERR_INVALID_ARGUMENT', /u should be/],
    [
      'an out of the wrong length',
      (lin) => lin.jvp(v, { out: new Float64Array(v.length) }),
      'ERR_SHAPE_MISMATCH',
      /out should have 6/,
    ],
    ['threads below one', (lin) => lin.matvec(v, { threads: 0 }), 'ERR_INVALID_ARGUMENT', /threads/],
  ])('%s', async (_, call, code, message) => {
    using lin = linearizeSync(problem);
    await expect(call(lin)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});
