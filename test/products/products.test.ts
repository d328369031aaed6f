/** Laws of the two products, over the table of models. */
import { describe, expect, it } from 'vitest';
import {
  matvecDense,
  matvecDenseSync,
  matvecOnTheFly,
  matvecOnTheFlySync,
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

const PRODUCTS = {
  'on the fly': matvecOnTheFlySync,
  'on the fly, autograd': ((problem, v, options) =>
    matvecOnTheFlySync(problem, v, { ...options, engine: 'autograd' })) as typeof matvecOnTheFlySync,
  'dense, gram': matvecDenseSync,
  'dense, jacobian': ((problem, v, options) =>
    matvecDenseSync(problem, v, { ...options, strategy: 'jacobian' })) as typeof matvecDenseSync,
};

describe.each(MODEL_CASES.map((each) => [each.name, each] as const))('%s', (_, each: ModelCase) => {
  const problem = problemOf(each);
  const { parameterCount } = problem.model;
  const v = Float64Array.from(each.v);

  describe.each(Object.entries(PRODUCTS))('%s', (_, product) => {
    it("gives PyTorch's numbers in float64", () => {
      expect(relativeError(product(problem, v), each.jtjv)).toBeLessThan(1e-12);
    });

    it('gives them in float32 to its precision', () => {
      const { data, shape } = problem.x;
      const x: Tensor = { data: data instanceof Float64Array ? toFloat32(data) : data, shape };
      const single = { ...problem, params: toFloat32(each.params), x };
      const result = product(single, toFloat32(v));
      expect(result).toBeInstanceOf(Float32Array);
      expect(relativeError(result, each.jtjv)).toBeLessThan(5e-6);
    });

    it('is the same with any chunks, the last one ragged', () => {
      for (const chunkSize of [1, 2, 3, 1000]) {
        expect(relativeError(product(problem, v, { chunkSize }), each.jtjv)).toBeLessThan(1e-12);
      }
    });

    it('is the same on any number of threads', () => {
      for (const threads of [1, 2, 3]) {
        expect(relativeError(product(problem, v, { threads }), each.jtjv)).toBeLessThan(1e-12);
      }
    });

    it('is symmetric, linear and positive', () => {
      const [a, b] = [vector(parameterCount, 1), vector(parameterCount, 2)];
      const [fa, fb] = [product(problem, a), product(problem, b)];
      const scale = Math.sqrt(dot(fa, fa) * dot(b, b)) + 1e-300;
      expect(Math.abs(dot(fa, b) - dot(a, fb)) / scale).toBeLessThan(1e-13);
      expect(dot(a, fa)).toBeGreaterThanOrEqual(0);
      const combined = product(
        problem,
        a.map((element, i) => 3 * element - 0.5 * b[i]!),
      );
      expect(
        relativeError(
          combined,
          fa.map((element, i) => 3 * element - 0.5 * fb[i]!),
        ),
      ).toBeLessThan(1e-12);
      expect(product(problem, new Float64Array(parameterCount)).every((element) => element === 0)).toBe(true);
    });
  });

  it('gives the same from promises as on the calling thread', async () => {
    expect(await matvecOnTheFly(problem, v)).toEqual(matvecOnTheFlySync(problem, v));
    expect(await matvecDense(problem, v)).toEqual(matvecDenseSync(problem, v));
  });

  // Of the padding row of an embedding PyTorch says that the derivative is zero, although the output depends on it.
  const PADDED = ' (skipped: the derivative of a padding row is zero by definition)';
  const padded = JSON.stringify(each.layers).includes('paddingIdx');

  it.skipIf(padded)(
    `is the norm of a finite difference: ⟨v, JᵀJ v⟩ = ‖(f(θ + hv) − f(θ − hv)) / 2h‖²${padded ? PADDED : ''}`,
    () => {
      const h = 1e-5;
      const params = Float64Array.from(each.params);
      const at = (step: number) =>
        problem.model.forwardSync(
          params.map((element, i) => element + step * v[i]!),
          problem.x,
        ).data;
      const [above, below] = [at(h), at(-h)];
      const difference = above.map((element: number, i: number) => (element - below[i]!) / (2 * h));
      expect(relativeError(difference, each.jv)).toBeLessThan(1e-7);
      expect(Math.abs(dot(v, matvecOnTheFlySync(problem, v)) / dot(difference, difference) - 1)).toBeLessThan(
        1e-6,
      );
    },
  );
});

it('gives zeros for an empty batch', async () => {
  const each = MODEL_CASES[0]!;
  const problem = { ...problemOf(each), x: { data: new Float64Array(0), shape: [0, 3] } };
  const zeros = new Float64Array(each.v.length);
  const v = Float64Array.from(each.v);
  for (const product of Object.values(PRODUCTS)) {
    expect(product(problem, v)).toEqual(zeros);
    expect(product(problem, v, { chunkSize: 4 })).toEqual(zeros);
  }
  expect(await matvecOnTheFly(problem, v)).toEqual(zeros);
  expect(await problem.model.forward(problem.params, problem.x)).toEqual({
    data: new Float64Array(0),
    shape: [0, 1],
  });
});

it('takes parameters and vectors by name, in any order', () => {
  const each = MODEL_CASES[0]!;
  const { model, x } = problemOf(each);
  const byName = (flat: number[]) =>
    Object.fromEntries(Object.entries(model.unflatten(Float64Array.from(flat))).reverse());
  const result = matvecOnTheFlySync({ model, params: byName(each.params), x }, byName(each.v));
  expect(relativeError(result, each.jtjv)).toBeLessThan(1e-12);
});

it('writes into out, which may be the vector itself, and into parts of larger arrays', async () => {
  const each = MODEL_CASES[0]!;
  const problem = problemOf(each);
  const arena = new Float64Array(3 * each.v.length);
  const v = arena.subarray(each.v.length, 2 * each.v.length);
  for (const product of [matvecOnTheFly, matvecDense]) {
    v.set(each.v);
    expect(await product(problem, v, { out: v })).toBe(v);
    expect(relativeError(v, each.jtjv)).toBeLessThan(1e-12);
  }
  expect(arena.subarray(0, each.v.length).every((element) => element === 0)).toBe(true);
  expect(arena.subarray(2 * each.v.length).every((element) => element === 0)).toBe(true);
});

it('works on shared memory', async () => {
  const each = MODEL_CASES[0]!;
  const problem = problemOf(each);
  const v = new Float64Array(new SharedArrayBuffer(8 * each.v.length));
  v.set(each.v);
  expect(relativeError(matvecOnTheFlySync(problem, v), each.jtjv)).toBeLessThan(1e-12);
  expect(relativeError(await matvecDense(problem, v, { out: v }), each.jtjv)).toBeLessThan(1e-12);
});

it('takes NaN and infinity for data: they propagate', () => {
  const each = MODEL_CASES[0]!;
  const problem = problemOf(each);
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const v = Float64Array.from(each.v);
    v[0] = value;
    for (const product of Object.values(PRODUCTS)) {
      expect(product(problem, v).some((element) => !Number.isFinite(element))).toBe(true);
    }
  }
});
