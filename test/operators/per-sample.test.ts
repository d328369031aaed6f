/** Losses and gradients of single rows: against problems of one row each, and as what sums to those of all rows. */
import { describe, expect, it } from 'vitest';
import {
  Generator,
  lossAndGradientSync,
  Model,
  nn,
  type PerSample,
  perSample,
  perSampleGradients,
  perSampleGradientsSync,
  perSampleLosses,
  perSampleLossesSync,
  type Tensor,
} from '../../lib/index.ts';

const N = 7;
const draw = new Generator(3);
const randn = (...shape: number[]) => draw.randn(shape, { dtype: 'float64' });
const classes = (most: number, ...shape: number[]) => {
  const length = shape.reduce((product, size) => product * size, 1);
  return { data: Int32Array.from({ length }, (_, i) => (3 * i + 1) % most), shape };
};

const wide = Model.sequential([nn.linear(3, 5), nn.tanh(), nn.linear(5, 40)]);
const narrow = Model.sequential([nn.linear(3, 5), nn.tanh(), nn.linear(5, 2)]);
const pixels = Model.sequential([nn.conv2d(1, 3, 3), nn.silu()]);
const CASES = [
  { name: 'mse', model: narrow, x: randn(N, 3), target: randn(N, 2), loss: 'mse' },
  {
    name: 'cross entropy, many classes',
    model: wide,
    x: randn(N, 3),
    target: classes(40, N),
    loss: 'cross_entropy',
  },
  {
    name: 'cross entropy of pixels',
    model: pixels,
    x: randn(N, 1, 4, 4),
    target: classes(3, N, 2, 2),
    loss: 'cross_entropy',
  },
] as const;
const OPTIONS = [
  { engine: 'auto' },
  { engine: 'autograd', chunkSize: 3 },
  { engine: 'auto', weights: randn(N).data.map(Math.abs) },
] as const;

/** One row of a tensor. */
function row({ data, shape }: Tensor, n: number): Tensor {
  const size = data.length / shape[0]!;
  return { data: data.slice(n * size, (n + 1) * size), shape: [1, ...shape.slice(1)] };
}

function expectClose(actual: Iterable<number>, expected: Iterable<number>) {
  const [a, b] = [Array.from(actual), Array.from(expected)];
  expect(a).toHaveLength(b.length);
  const largest = Math.max(1e-300, ...b.map(Math.abs));
  for (let i = 0; i < b.length; i++) expect(Math.abs(a[i]! - b[i]!) / largest).toBeLessThan(1e-11);
}

const sum = (vectors: readonly ArrayLike<number>[]) =>
  Float64Array.from(vectors[0]!, (_, i) => vectors.reduce((total, each) => total + each[i]!, 0));

describe.each(CASES)('$name', ({ name: _, ...given }) => {
  const { model } = given;
  const P = model.parameterCount;
  const params = model.init({ seed: 2, dtype: 'float64' });
  const problem = { ...given, params };
  const batches = [2, 0, 4, 1].map((rows, i) => {
    const first = [0, 2, 2, 6][i]!;
    const take = ({ data, shape }: Tensor) => {
      const size = data.length / N;
      return { data: data.slice(first * size, (first + rows) * size), shape: [rows, ...shape.slice(1)] };
    };
    return { x: take(given.x), target: take(given.target) };
  });

  it.each(['mean', 'sum'] as const)(
    'a row is a problem of its own, whose losses and gradients sum (%s)',
    (reduction) => {
      const whole = { ...problem, reduction };
      for (const options of OPTIONS) {
        const weights = 'weights' in options ? options.weights : undefined;
        const all = lossAndGradientSync(whole, weights && { weights });
        const terms = given.target.data.length / (reduction === 'mean' ? 1 : given.target.data.length);
        const rows = Array.from({ length: N }, (_, n) => {
          const one = {
            ...problem,
            x: row(given.x, n),
            target: row(given.target, n),
            reduction: 'sum',
          } as const;
          const { loss, gradient } = lossAndGradientSync(one);
          const share = (weights?.[n] ?? 1) / terms;
          return { loss: share * loss, gradient: gradient.map((each) => share * each) };
        });
        using G = perSampleGradientsSync(whole, options);
        expect(G).toMatchObject({ kind: 'perSampleGradients', shape: [N, P], symmetric: false });
        expectClose(
          G.toDenseSync().data,
          rows.flatMap(({ gradient }) => Array.from(gradient)),
        );
        expectClose(G.rmatvecSync(new Float64Array(N).fill(1)), all.gradient);
        const [v, w] = [randn(P).data, randn(N).data];
        expectClose(
          G.matvecSync(v),
          rows.map(({ gradient }) => gradient.reduce((dot, g, i) => dot + g * v[i]!, 0)),
        );
        expectClose(G.rmatvecSync(w), sum(rows.map(({ gradient }, n) => gradient.map((g) => g * w[n]!))));
        expectClose(
          perSampleLossesSync(whole, options),
          rows.map(({ loss }) => loss),
        );
        expect(perSampleLossesSync(whole, options).reduce((a, b) => a + b)).toBeCloseTo(all.loss, 11);
      }
    },
  );

  it.each([undefined, 1, 3, 100])(
    'goes through the rows, %s at a time, of all data and of a stream',
    async (rows) => {
      using G = await perSampleGradients(problem);
      const dense = G.toDenseSync().data;
      const losses = await perSampleLosses(problem);
      const options = rows === undefined ? {} : { rows };
      for (const source of [problem, { model, params, loss: given.loss, batches }]) {
        const parts: PerSample<Float64Array>[] = [];
        for await (const part of perSample(source, options)) parts.push(part);
        expectClose(
          parts.flatMap(({ losses }) => Array.from(losses)),
          losses,
        );
        expectClose(
          parts.flatMap(({ gradients }) => Array.from(gradients.data)),
          dense,
        );
        let next = 0;
        for (const { firstRow, losses, gradients } of parts) {
          expect(firstRow).toBe(next);
          expect(losses.length).toBeLessThanOrEqual(rows ?? N);
          expect(gradients.shape).toEqual([losses.length, P]);
          next += losses.length;
        }
        expect(next).toBe(N);
      }
    },
  );

  it('is the same operator over a stream', async () => {
    using whole = perSampleGradientsSync(problem);
    using streamed = await perSampleGradients({ model, params, loss: given.loss, batches });
    expect(streamed.shape).toEqual(whole.shape);
    expectClose((await streamed.toDense()).data, whole.toDenseSync().data);
    const v = randn(2 * P).data;
    expectClose(await streamed.matmat(v, 2), whole.matmatSync(v, 2));
    expectClose(
      await perSampleLosses({ model, params, loss: given.loss, batches }),
      perSampleLossesSync(problem),
    );
  });
});

describe('what does not fit', () => {
  const problem = {
    model: narrow,
    params: narrow.init({ dtype: 'float64' }),
    x: randn(N, 3),
    target: randn(N, 2),
    loss: 'mse',
  } as const;

  it('is refused', async () => {
    await expect(perSample(problem, { rows: 0 }).next()).rejects.toThrow(RangeError);
    await expect(perSample(problem, { row: 1 } as object).next()).rejects.toThrow("did you mean 'rows'");
    expect(() => perSampleLossesSync({ ...problem, target: randn(N, 3) })).toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
    );
    const dependent = Model.sequential([nn.linear(3, 2), nn.softmax(0)]);
    const params = dependent.init({ dtype: 'float64' });
    for (const made of [perSampleGradientsSync, perSampleLossesSync])
      expect(() => made({ ...problem, model: dependent, params })).toThrow(
        expect.objectContaining({ code: 'ERR_UNSUPPORTED_OP' }),
      );
  });

  it('ends where the signal says so', async () => {
    const controller = new AbortController();
    const seen = async () => {
      for await (const _ of perSample(problem, { rows: 1, signal: controller.signal }))
        controller.abort('enough');
    };
    await expect(seen()).rejects.toBe('enough');
  });

  it('of no rows there is nothing', async () => {
    const none = { ...problem, x: randn(0, 3), target: randn(0, 2) };
    expect(perSampleLossesSync(none)).toHaveLength(0);
    expect(perSampleGradientsSync(none).toDenseSync().shape).toEqual([0, narrow.parameterCount]);
    expect((await perSample(none).next()).done).toBe(true);
  });
});

it('reads the problem once: its arrays may change while it computes', async () => {
  const { name: _, ...problem } = CASES[0];
  const params = narrow.init({ seed: 1, dtype: 'float64' });
  const own = {
    ...problem,
    params: params.slice(),
    target: { ...problem.target, data: problem.target.data.slice() },
  };
  const first = perSample(own).next();
  own.params.fill(0);
  own.target.data.fill(0);
  const { losses, gradients } = (await first).value as PerSample<Float64Array>;
  expectClose(losses, perSampleLossesSync({ ...problem, params }));
  using op = perSampleGradientsSync({ ...problem, params });
  expectClose(gradients.data, op.toDenseSync().data);
});
