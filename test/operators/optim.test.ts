/** Optimizers: each step against dense linear algebra, the rules of their damping, and that they get to the minimum. */
import { describe, expect, it } from 'vitest';
import {
  bind,
  empiricalFisherSync,
  type FloatArray,
  fisherSync,
  Generator,
  gaussNewtonSync,
  hessianSync,
  jacobianSync,
  lossAndGradientSync,
  Model,
  nn,
  optim,
  type Tensor,
} from '../../lib/index.ts';
import { apply, element, matrix, solve, times, transpose } from '../support/dense.ts';
import { dot, relativeError } from '../support/models.ts';

const model = Model.sequential([nn.linear(2, 3), nn.tanh(), nn.linear(3, 1)]);
const P = model.parameterCount;
const draw = new Generator(1);
const randn = (...shape: number[]) => draw.randn(shape, { dtype: 'float64' });
const x = randn(12, 2);
const target = {
  data: Float64Array.from({ length: 12 }, (_, i) => Math.sin(2 * x.data[2 * i]!)),
  shape: [12, 1],
};
const params = model.init({ seed: 3, dtype: 'float64' });
const problem = { model, params, x, target, loss: 'mse' } as const;
const exact = { tolerance: 1e-12, maxIterations: 1000 };

const difference = (a: FloatArray, b: FloatArray) => Float64Array.from(a, (each, i) => each - b[i]!);

describe.each([
  { name: 'levenbergMarquardt', make: optim.levenbergMarquardt, curvature: gaussNewtonSync, options: {} },
  { name: 'naturalGradient', make: optim.naturalGradient, curvature: gaussNewtonSync, options: {} },
  {
    name: 'naturalGradient, empirical',
    make: optim.naturalGradient,
    curvature: empiricalFisherSync,
    options: { fisher: 'empirical' } as const,
  },
  {
    name: 'naturalGradient, drawn',
    make: optim.naturalGradient,
    curvature: fisherSync,
    options: { fisher: 'mc', mcSamples: 2, seed: 5 } as const,
    drawn: (step: number) => ({ mcSamples: 2, seed: 5 + step - 1 }),
  },
])('$name', ({ name, make, curvature, options, drawn }) => {
  it('takes the steps of dense algebra, and records them', async () => {
    const optimizer = make(problem, { damping: 0.1, ...exact, ...options });
    let [before, lambda] = [params as FloatArray, 0.1];
    for (let step = 1; step <= 5; step++) {
      const { loss, gradient } = lossAndGradientSync({ ...problem, params: before as Float64Array });
      const at = { ...problem, params: before as Float64Array };
      using op = drawn === undefined ? curvature(at) : fisherSync(at, drawn(step));
      const dense = op.toDenseSync();
      const damped = matrix(P, P, (i, j) => element(dense, i, j) + (i === j ? lambda : 0));
      const d = solve(
        damped,
        gradient.map((each) => -each),
      );
      const candidate = Float64Array.from(before, (each, i) => each + d[i]!);
      const there = lossAndGradientSync({ ...problem, params: candidate }).loss;
      const predicted = -dot(gradient, d) - dot(d, apply(dense, d)) / 2;
      const record = await optimizer.step();
      expect(record).toMatchObject({ step, accepted: there < loss, damping: lambda });
      for (const [found, expected] of [
        [record.loss, loss],
        [record.candidateLoss, there],
        [record.predicted, predicted],
        [record.ratio, (loss - there) / predicted],
        [record.stepNorm, Math.hypot(...d)],
        [record.gradientNorm, Math.hypot(...gradient)],
      ] as const)
        expect(Math.abs(found - expected)).toBeLessThan(1e-8 * Math.max(1, Math.abs(expected)));
      if (record.accepted) expect(relativeError(difference(optimizer.params, before), d)).toBeLessThan(1e-8);
      else expect(optimizer.params).toEqual(before);
      const { ratio } = record;
      if (name === 'levenbergMarquardt') {
        if (ratio > 0)
          expect(optimizer.damping / lambda).toBeCloseTo(Math.max(1 / 3, 1 - (2 * ratio - 1) ** 3), 10);
      } else if (ratio > 0) {
        expect(optimizer.damping / lambda).toBeCloseTo(ratio > 0.75 ? 2 / 3 : ratio < 0.25 ? 1.5 : 1, 10);
      }
      [before, lambda] = [optimizer.params, optimizer.damping];
    }
    expect(optimizer.records).toHaveLength(5);
  });

  it('raises the damping until a step helps', async () => {
    // From far out, with next to no damping, the first steps are too long.
    const far = params.map((each) => 40 * each);
    const optimizer = make({ ...problem, params: far }, { damping: 1e-12, ...options });
    let last = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 25; i++) {
      const { accepted, damping, loss } = await optimizer.step();
      if (!accepted) expect(optimizer.damping).toBeGreaterThan(damping);
      expect(loss).toBeLessThanOrEqual(last);
      last = loss;
    }
  });
});

describe('newtonCG', () => {
  it('stays within its region, and takes Newton steps where that holds them', async () => {
    const optimizer = optim.newtonCG(problem, { radius: 0.05 });
    for (let i = 0; i < 40; i++) {
      const { damping, stepNorm, accepted, ratio, predicted } = await optimizer.step();
      expect(stepNorm).toBeLessThanOrEqual(damping * (1 + 1e-9));
      expect(predicted).toBeGreaterThanOrEqual(0);
      expect(accepted).toBe(ratio > 1e-4);
      if (ratio < 0.25) expect(optimizer.damping).toBe(damping / 4);
      else expect([damping, 2 * damping]).toContain(optimizer.damping);
    }
    const { gradientNorm } = optimizer.records.at(-1)!;
    expect(gradientNorm).toBeLessThan(1e-3 * optimizer.records[0]!.gradientNorm);
  });

  it('follows directions of negative curvature to the edge', async () => {
    const H = hessianSync(problem).toDenseSync();
    const negative = matrix(P, P, (i, j) => element(H, i, j));
    expect(negative.shape).toEqual([P, P]);
    const { stepNorm, predicted } = await optim.newtonCG(problem, { radius: 1e-3 }).step();
    expect(stepNorm).toBeCloseTo(1e-3, 12);
    expect(predicted).toBeGreaterThan(0);
  });
});

describe('all of them', () => {
  const MAKERS = {
    newtonCG: optim.newtonCG,
    levenbergMarquardt: optim.levenbergMarquardt,
    naturalGradient: optim.naturalGradient,
  };
  it.each(Object.entries(MAKERS))(
    '%s gets down, in either precision, from bound data too',
    async (_, make) => {
      using bound = await bind(problem);
      const single = {
        ...problem,
        params: Float32Array.from(params),
        x: { data: Float32Array.from(x.data), shape: x.shape },
        target: { data: Float32Array.from(target.data), shape: target.shape },
      };
      const ends = [];
      for (const optimizer of [make(problem), make(bound.at(params)), make(single)]) {
        for (let i = 0; i < 30; i++) await optimizer.step();
        ends.push(optimizer.records.at(-1)!.loss);
      }
      const start = lossAndGradientSync(problem).loss;
      for (const end of ends) expect(end).toBeLessThan(0.05 * start);
      expect(ends[1]).toBe(ends[0]);
    },
  );

  it.each(Object.entries(MAKERS))(
    '%s leaves all as it was where a step is stopped or the data are wrong',
    async (_, make) => {
      const optimizer = make(problem);
      await expect(optimizer.step({ signal: AbortSignal.abort('no') })).rejects.toBe('no');
      await expect(optimizer.step({ x: randn(3, 5) })).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
      );
      await expect(optimizer.step({ y: 1 } as object)).rejects.toThrow(TypeError);
      expect(optimizer.params).toEqual(params);
      expect(optimizer.records).toHaveLength(0);
      const half = (data: Float64Array, width: number) => ({
        data: data.slice(0, 6 * width),
        shape: [6, width],
      });
      const [first, second] = await Promise.all([
        optimizer.step({ x: half(x.data, 2), target: half(target.data, 1) }),
        optimizer.step(),
      ]);
      expect([first.step, second.step]).toEqual([1, 2]);
      expect(() => make({ ...problem, params: new Float64Array(2) })).toThrow(
        expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
      );
      expect(() => make(problem, { dampings: 1 } as object)).toThrow(TypeError);
    },
  );

  it('draw targets anew in each step, the same from the start', async () => {
    const [a, b] = [0, 1].map(() => optim.naturalGradient(problem, { fisher: 'mc', mcSamples: 2 }));
    for (let i = 0; i < 3; i++) expect(await a!.step()).toEqual(await b!.step());
    expect(() => optim.naturalGradient(problem, { fisher: 'mc', mcSamples: 0 })).toThrow(RangeError);
    expect(() => optim.levenbergMarquardt(problem, { damping: 0 })).toThrow(RangeError);
    expect(() => optim.newtonCG(problem, { radius: -1 })).toThrow(RangeError);
  });

  it.each<[string, () => unknown, string]>([
    ['a radius beyond the largest', () => optim.newtonCG(problem, { radius: 2, maxRadius: 1 }), 'radius'],
    ['the usual radius beyond it', () => optim.newtonCG(problem, { maxRadius: 0.5 }), 'radius'],
    ['a damping that it would leave', () => optim.levenbergMarquardt(problem, { damping: 1e-16 }), 'damping'],
    ['and on the other side', () => optim.naturalGradient(problem, { damping: 1e16 }), 'damping'],
    ['samples of what is not drawn', () => optim.naturalGradient(problem, { mcSamples: 2 }), 'mcSamples'],
    ['its seed', () => optim.naturalGradient(problem, { fisher: 'empirical', seed: 2 }), 'seed'],
  ])('refuse %s', (_, make, name) => {
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringContaining(`${name} `) };
    expect(make).toThrow(RangeError);
    expect(make).toThrow(expect.objectContaining(refused));
  });

  it.each(Object.entries(MAKERS))('%s refuses a problem without a loss when it is made', (_, make) => {
    const { loss: _loss, ...lossless } = problem;
    expect(() => make(lossless as never)).toThrow(/problem\.loss/);
    expect(() => make({ ...problem, loss: 'msee' as never })).toThrow(/msee/);
    expect(() => make({ ...problem, reduction: 'none' as never })).toThrow(/problem\.reduction/);
    const { target: _target, ...later } = problem;
    expect(() => make(later)).not.toThrow();
  });

  it.each(
    Object.entries(MAKERS).flatMap(([name, make]) =>
      [
        { group: {} },
        { group: null },
        { group: Number.NaN },
        { threads: 0 },
        { chunkSize: 1.5 },
        { engine: 'warp' },
        { memoryBudget: -1 },
        { products: '2' },
      ].map((options) => [name, options, make] as const),
    ),
  )('%s refuses %o when it is made', (_, options, make) => {
    const [name] = Object.keys(options);
    const refused = {
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(new RegExp(`^${name} should be`)),
    };
    expect(() => make(problem, options as never)).toThrow(expect.objectContaining(refused));
  });

  it.each(Object.entries(MAKERS))('%s takes rows as often as their weights say', async (_, make) => {
    const often = (counts: readonly number[], { data, shape }: Tensor<Float64Array>) => {
      const width = shape[1]!;
      const rows = counts.flatMap((count, row) =>
        Array.from({ length: count }, () => [...data.subarray(row * width, (row + 1) * width)]),
      );
      return { data: Float64Array.from(rows.flat()), shape: [rows.length, width] };
    };
    const counts = [2, 0, 1, 1, 3, 1, 0, 1, 1, 2, 1, 1];
    const sum = { ...problem, reduction: 'sum' } as const;
    const weights = Float64Array.from(counts);
    const weighted = make(sum, { weights });
    weights.fill(Number.NaN);
    const repeated = make({ ...sum, x: often(counts, x), target: often(counts, target) });
    const batch = { x: randn(4, 2), target: randn(4, 1) };
    const few = [0, 2, 1, 1];
    const steps = [
      [{}, {}],
      [
        { ...batch, weights: Float64Array.from(few) },
        { x: often(few, batch.x), target: often(few, batch.target) },
      ],
      [batch, batch],
      [{ weights: Float64Array.from(counts, (each) => 2 * each) }, { weights: new Float64Array(14).fill(2) }],
      [{}, {}],
    ];
    for (const [of, ofRepeated] of steps) {
      const [found, expected] = [await weighted.step(of), await repeated.step(ofRepeated)];
      for (const [name, value] of Object.entries(expected)) {
        const own = found[name as keyof typeof found];
        if (typeof value === 'number') expect(Math.abs(Number(own) / value - 1)).toBeLessThan(1e-6);
        else expect(own).toBe(value);
      }
    }
    expect(relativeError(weighted.params, repeated.params)).toBeLessThan(1e-8);
    expect(() => make(sum, { weights: [1] as never })).toThrow(/weights should be a Float32Array/);
    await expect(make(sum, { weights: new Float64Array(3) }).step()).rejects.toMatchObject({
      code: 'ERR_SHAPE_MISMATCH',
    });
  });

  it('read data when they are made, and when a step is asked for', async () => {
    const copyOf = ({ data, shape }: Tensor<Float64Array>) => ({ data: data.slice(), shape: [...shape] });
    const others = { x: randn(6, 2), target: randn(6, 1) };
    const [first, second] = [
      { x: copyOf(x), target: copyOf(target) },
      { x: copyOf(others.x), target: copyOf(others.target) },
    ];
    const optimizer = optim.levenbergMarquardt({ ...problem, ...first });
    first.x.data.fill(Number.NaN);
    first.target.data.fill(Number.NaN);
    const asked = [optimizer.step(), optimizer.step(second), optimizer.step()];
    second.x.data.fill(Number.NaN);
    second.target.data.fill(Number.NaN);
    second.x.shape[0] = 1;
    const expected = optim.levenbergMarquardt(problem);
    for (const data of [{}, others, {}]) await expected.step(data);
    expect(await Promise.all(asked)).toEqual(expected.records);
  });
});

describe('stochastic reconfiguration', () => {
  const values = randn(12, 1);
  const weights = Float64Array.from({ length: 12 }, (_, i) => (i % 3) / 12);

  it.each([undefined, weights])('is −(S + λI)⁻¹ Aᵀε by either way (%#)', async (given) => {
    const w = given ?? new Float64Array(12).fill(1 / 12);
    const options = { weights: w, center: true };
    const A = jacobianSync({ model, params, x }, options).toDenseSync();
    const total = w.reduce((sum, each) => sum + each);
    const mean = dot(w, values.data) / total;
    const epsilon = values.data.map((each, i) => Math.sqrt(w[i]!) * (each - mean));
    const S = times(transpose(A), A);
    const damped = matrix(P, P, (i, j) => element(S, i, j) + (i === j ? 0.01 : 0));
    const expected = solve(damped, apply(transpose(A), epsilon)).map((each) => -each);
    for (const way of [optim.sr, optim.minSR]) {
      const how = { damping: 0.01, tolerance: 1e-12, ...(given && { weights: given }) };
      for (const each of [values, values.data]) {
        const found = await way({ model, params, x }, each, how);
        expect(found.converged).toBe(true);
        expect(relativeError(found.direction, expected)).toBeLessThan(1e-9);
      }
    }
  });

  it('takes values and weights as they were when it was called for', async () => {
    for (const way of [optim.sr, optim.minSR]) {
      const [expected, held] = [await way({ model, params, x }, values, { weights }), weights.slice()];
      const changed = { data: values.data.slice(), shape: [12, 1] };
      const found = way({ model, params, x }, changed, { weights: held });
      changed.data.fill(0);
      held.fill(1);
      expect(await found).toEqual(expected);
    }
  });

  it('refuses what does not fit', async () => {
    for (const way of [optim.sr, optim.minSR]) {
      await expect(way({ model, params, x }, randn(5).data)).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
      );
      await expect(way({ model, params, x }, values, { weights: new Float64Array(5) })).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
      );
      await expect(way({ model, params, x }, values, { damping: -1 })).rejects.toThrow(RangeError);
      await expect(way({ model, params, x }, values, { signal: AbortSignal.abort('no') })).rejects.toBe('no');
    }
  });
});
