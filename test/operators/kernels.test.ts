/** Tangent kernels between batches and of single rows, and the imaginary part of the geometric tensor, against J itself. */
import { describe, expect, it } from 'vitest';
import {
  Generator,
  gramianImaginary,
  gramianImaginarySync,
  jacobianSync,
  linearizeSync,
  Model,
  nn,
  ntk,
  ntkSync,
  type Tensor,
} from '../../lib/index.ts';
import { element, type Matrix, matrix, times, transpose } from '../support/dense.ts';

const draw = new Generator(1);
const randn = (...shape: number[]) => draw.randn(shape, { dtype: 'float64' });
const MODELS = [
  { name: 'layers', model: Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]), row: [3] },
  { name: 'convolution', model: Model.sequential([nn.conv2d(1, 2, 2), nn.gelu()]), row: [1, 2, 3] },
];
const [N, M] = [4, 3];

function expectClose(actual: Iterable<number>, expected: Iterable<number>) {
  const [a, b] = [Array.from(actual), Array.from(expected)];
  expect(a).toHaveLength(b.length);
  const largest = Math.max(1e-300, ...b.map(Math.abs));
  for (let i = 0; i < b.length; i++) expect(Math.abs(a[i]! - b[i]!) / largest).toBeLessThan(1e-11);
}

/** Sums over the outputs of pairs of rows. */
function traced(kernel: Matrix, outputs: number): Matrix {
  const [rows, columns] = kernel.shape.map((size) => size / outputs);
  return matrix(rows!, columns!, (n, m) => {
    let sum = 0;
    for (let o = 0; o < outputs; o++) sum += element(kernel, n * outputs + o, m * outputs + o);
    return sum;
  });
}

describe.each(MODELS)('the kernel of $name', ({ model, row }) => {
  const params = model.init({ seed: 4, dtype: 'float64' });
  const [x, x2] = [randn(N, ...row), randn(M, ...row)];
  const problem = { model, params, x };
  const dense = (x: Tensor) => jacobianSync({ model, params, x }).toDenseSync();
  const [J, J2] = [dense(x), dense(x2)];
  const outputs = J.shape[0]! / N;
  const shape = model.forwardSync(params, x).shape;

  it.each([
    { how: 'of two batches', options: { x2 }, expected: times(J, transpose(J2)) },
    {
      how: 'of rows of two batches',
      options: { x2, trace: true },
      expected: traced(times(J, transpose(J2)), outputs),
    },
    { how: 'of rows of one', options: { trace: true }, expected: traced(times(J, transpose(J)), outputs) },
  ])('$how is J Jᵀ', async ({ options, expected }) => {
    using lin = linearizeSync(problem);
    for (const source of [problem, lin]) {
      using op = await ntk(source, options);
      expect(op).toMatchObject({ kind: 'ntk', shape: expected.shape, symmetric: !('x2' in options) });
      expectClose(op.toDenseSync().data, expected.data);
      const [v, u] = [randn(expected.shape[1]!).data, randn(expected.shape[0]!).data];
      expectClose(op.matvecSync(v), times(expected, { data: v, shape: [v.length, 1] }).data);
      expectClose(op.rmatvecSync(u), times(transpose(expected), { data: u, shape: [u.length, 1] }).data);
    }
    using product = jacobianSync(problem).multiply(
      jacobianSync({ ...problem, x: 'x2' in options ? x2 : x }).T,
    );
    if (!('trace' in options)) expectClose(product.toDenseSync().data, expected.data);
  });

  it('takes vectors as tensors of the outputs of their own batch', () => {
    using op = ntkSync(problem, { x2 });
    const data = randn(M * outputs).data;
    expect(op.matvecSync({ data, shape: [M, ...shape.slice(1)] })).toEqual(op.matvecSync(data));
    expect(() => op.matvecSync({ data: randn(N * outputs).data, shape })).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
    );
    using rows = ntkSync(problem, { trace: true });
    expect(rows.matvecSync(randn(N))).toHaveLength(N);
  });

  it('of weighted, centered rows is that of √W (I − 1wᵀ/Σw) J', () => {
    const options = { weights: Float64Array.of(1, 2, 0, 0.5), center: true };
    const A = jacobianSync(problem, options).toDenseSync();
    using op = ntkSync(problem, { ...options, trace: true });
    expectClose(op.toDenseSync().data, traced(times(A, transpose(A)), outputs).data);
  });

  it('refuses what it has no meaning for', async () => {
    const code = (code: string) => expect.objectContaining({ code });
    expect(() => ntkSync(problem, { x2, center: true })).toThrow(code('ERR_INVALID_ARGUMENT'));
    expect(() => ntkSync(problem, { x2, weights: new Float64Array(N) })).toThrow(
      code('ERR_INVALID_ARGUMENT'),
    );
    expect(() => ntkSync(problem, { x2: randn(M, 9) })).toThrow(code('ERR_SHAPE_MISMATCH'));
    expect(() => ntkSync(problem, { x2: { data: new Float32Array(3), shape: [1, ...row] } })).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/ERR_(DTYPE|SHAPE)_MISMATCH/) }),
    );
    expect(() => ntkSync(problem, { trace: 1 } as object)).toThrow(TypeError);
    await expect(ntk({ model, params, batches: [{ x }] }, { x2 })).rejects.toThrow('multiply');
  });
});

describe('the imaginary part of the geometric tensor', () => {
  const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]);
  const params = model.init({ seed: 4, dtype: 'float64' });
  const problem = { model, params, x: randn(5, 3) };
  const J = jacobianSync(problem).toDenseSync();
  const P = model.parameterCount;
  const weights = Float64Array.of(0.1, 0.4, 0.2, 0, 0.3);

  /** Im Σ w (O − Ō)* (O − Ō)ᵀ, by complex numbers. */
  function expected(w: Float64Array, center: boolean) {
    const total = w.reduce((a, b) => a + b);
    const mean = (part: number, k: number) =>
      center ? w.reduce((sum, each, n) => sum + (each / total) * element(J, 2 * n + part, k), 0) : 0;
    return matrix(P, P, (k, l) => {
      const O = (n: number, k: number) => [0, 1].map((part) => element(J, 2 * n + part, k) - mean(part, k));
      return w.reduce((sum, each, n) => {
        const [[a, b], [c, d]] = [O(n, k), O(n, l)] as [[number, number], [number, number]];
        return sum + each * (a * d - b * c); // Im (a − ib)(c + id)
      }, 0);
    });
  }

  it.each([
    { options: {}, w: new Float64Array(5).fill(1), center: false },
    { options: { weights }, w: weights, center: false },
    { options: { weights, center: true }, w: weights, center: true },
    {
      options: { center: true, engine: 'autograd', chunkSize: 2 } as const,
      w: new Float64Array(5).fill(1),
      center: true,
    },
  ])('is that of complex derivatives (%#)', async ({ options, w, center }) => {
    const dense = expected(w, center);
    using lin = linearizeSync(problem);
    const x = (first: number, last: number) => ({
      data: problem.x.data.slice(3 * first, 3 * last),
      shape: [last - first, 3],
    });
    const batches = [{ x: x(0, 2) }, { x: x(2, 5) }];
    for (const source of [problem, lin, { model, params, batches }]) {
      using op = await gramianImaginary(source, options);
      expect(op).toMatchObject({ kind: 'gramianImaginary', shape: [P, P], symmetric: false });
      expectClose((await op.toDense()).data, dense.data);
      const v = randn(2 * P).data;
      const product = await op.matmat(v, 2);
      expectClose(product, times({ data: v, shape: [2, P] }, transpose(dense)).data);
      expectClose(
        await op.rmatmat(v, 2),
        product.map((each) => -each),
      );
      expectClose(
        (await op.diagonal()).map((each) => 1 + each),
        new Float64Array(P).fill(1),
      );
    }
  });

  it('needs pairs', () => {
    const real = Model.sequential([nn.linear(3, 3)]);
    expect(() =>
      gramianImaginarySync({ ...problem, model: real, params: real.init({ dtype: 'float64' }) }),
    ).toThrow(
      expect.objectContaining({
        code: 'ERR_SHAPE_MISMATCH',
        message: expect.stringContaining('view_as_real'),
      }),
    );
  });
});
