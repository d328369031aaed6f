/** Batches that come one by one give what all rows at once give. */
import { describe, expect, it } from 'vitest';
import {
  type Batch,
  cg,
  customOperator,
  empiricalFisher,
  fisher,
  gaussNewton,
  gramian,
  hessian,
  lossAndGradient,
  matvecOnTheFly,
  type Tensor,
} from '../lib/index.ts';
import { MODEL_CASES, modelOf, problemOf, relativeError, tensorOf, vector } from './models.ts';

const each = MODEL_CASES.find(({ name }) => name === 'mlp relu, several outputs')!;
const model = modelOf(each);
const params = Float64Array.from(each.params);
const v = Float64Array.from(each.v);

function rows({ data, shape }: Tensor, begin: number, end: number): Tensor {
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  return { data: data.slice(begin * width, end * width), shape: [end - begin, ...shape.slice(1)] };
}

/** The rows of the case in batches of 2, 0, 2 and 1. */
function cut(x: Tensor, target?: Tensor): Batch[] {
  return [
    [0, 2],
    [2, 2],
    [2, 4],
    [4, 5],
  ].map(([begin, end]) => ({
    x: rows(x, begin!, end!),
    ...(target && { target: rows(target, begin!, end!) }),
  }));
}

const SOURCES = {
  'a list': (list: Batch[]) => list,
  'an async iterable': (list: Batch[]) => ({
    async *[Symbol.asyncIterator]() {
      for (const batch of list) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        yield batch;
      }
    },
  }),
  'a function of a generator': (list: Batch[]) =>
    function* () {
      yield* list;
    },
  'a function of an async generator': (list: Batch[]) =>
    async function* () {
      yield* list;
    },
};

describe.each(Object.entries(SOURCES))('%s', (_, source) => {
  const { x } = problemOf(each);

  it('gives the product and the Gramian', async () => {
    const batches = source(cut(x));
    expect(relativeError(await matvecOnTheFly({ model, params, batches }, v), each.jtjv)).toBeLessThan(1e-12);
    using op = await gramian({ model, params, batches });
    expect(op.shape).toEqual([model.parameterCount, model.parameterCount]);
    expect(op.symmetric).toBe(true);
    expect(relativeError(await op.matvec(v), each.jtjv)).toBeLessThan(1e-12);
    expect(relativeError(await op.rmatvec(v), each.jtjv)).toBeLessThan(1e-12);
  });

  it.each(each.losses.map((loss) => [`${loss.loss}, ${loss.reduction}`, loss] as const))(
    'gives the matrices of %s',
    async (_, { loss, reduction, target, value, gradient, ...products }) => {
      const problem = { model, params, batches: source(cut(x, tensorOf(target))), loss, reduction };
      const at = await lossAndGradient(problem);
      expect(Math.abs(at.loss / value - 1)).toBeLessThan(1e-12);
      expect(relativeError(at.gradient, gradient)).toBeLessThan(1e-12);
      for (const [make, expected] of [
        [hessian, products.hessianV],
        [gaussNewton, products.gaussNewtonV],
        [empiricalFisher, products.empiricalFisherV],
      ] as const) {
        using op = await make(problem);
        expect(relativeError(await op.matvec(v), expected)).toBeLessThan(1e-11);
      }
      using drawn = await fisher(problem, { seed: 3 });
      expect(await drawn.matvec(v)).toEqual(await drawn.matvec(v));
    },
  );
});

it('weights batches by the targets that count', async () => {
  const { x } = problemOf(each);
  const classes = { data: Int32Array.from([0, -100, 2, -100, -100]), shape: [5] };
  const whole = { model, params, x, target: classes, loss: 'cross_entropy' } as const;
  const stream = { model, params, batches: cut(x, classes), loss: 'cross_entropy' } as const;
  const [a, b] = [await lossAndGradient(stream), await lossAndGradient(whole)];
  expect(a.loss).toBeCloseTo(b.loss, 12);
  expect(relativeError(a.gradient, b.gradient)).toBeLessThan(1e-12);
  using streamed = await gaussNewton(stream);
  using direct = await gaussNewton(whole);
  expect(relativeError(await streamed.matvec(v), await direct.matvec(v))).toBeLessThan(1e-12);
});

it('is solved with and combined as any operator', async () => {
  const { x } = problemOf(each);
  using streamed = await gramian({ model, params, batches: cut(x) });
  using direct = await gramian({ model, params, x });
  const b = vector(model.parameterCount);
  using damped = streamed.damp(0.1);
  using other = direct.damp(0.1);
  const solution = await cg(damped, b, { tolerance: 1e-10 });
  expect(solution.converged).toBe(true);
  expect(relativeError(solution.x, (await cg(other, b, { tolerance: 1e-10 })).x)).toBeLessThan(1e-7);
  using part = streamed.submatrix(['0.*']);
  using same = direct.submatrix(['0.*']);
  expect(relativeError((await part.toDense()).data, (await same.toDense()).data)).toBeLessThan(1e-12);
  expect(() => streamed.matvecSync(v)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }));
});

it('passes on what its batches throw, and can be used again', async () => {
  const { x } = problemOf(each);
  const list = cut(x);
  const failure = new Error('disk on fire');
  let broken = false;
  function* batches() {
    yield list[0]!;
    if (broken) throw failure;
    yield* list.slice(1);
  }
  using op = await gramian({ model, params, batches });
  broken = true;
  await expect(op.matvec(v)).rejects.toBe(failure);
  await expect(cg(op, v)).rejects.toBe(failure);
  await expect(matvecOnTheFly({ model, params, batches }, v)).rejects.toBe(failure);
  await expect(gramian({ model, params, batches })).rejects.toBe(failure);
  broken = false;
  expect(relativeError(await op.matvec(v), each.jtjv)).toBeLessThan(1e-12);
});

it('stops when its signal is aborted', async () => {
  const { x } = problemOf(each);
  using op = await gramian({ model, params, batches: cut(x) });
  const controller = new AbortController();
  const endless = cg(op, v, {
    tolerance: 0,
    maxIterations: 1e9,
    signal: controller.signal,
    onIteration: ({ iteration }) => iteration === 2 && controller.abort(new Error('enough')),
  });
  await expect(endless).rejects.toThrow(/enough/);
});

describe('refuses', () => {
  const { x } = problemOf(each);
  function* generator() {
    yield* cut(x);
  }
  it.each([
    [{ batches: generator() }, {}, 'ERR_INVALID_ARGUMENT', /only once/],
    [{ batches: 7 }, {}, 'ERR_INVALID_ARGUMENT', /iterable/],
    [{ batches: () => 7 }, {}, 'ERR_INVALID_ARGUMENT', /iterable/],
    [{ batches: [7] }, {}, 'ERR_INVALID_ARGUMENT', /x, target/],
    [{ batches: cut(x) }, { center: true }, 'ERR_INVALID_ARGUMENT', /center/],
    [{ batches: cut(x) }, { weights: new Float64Array(5) }, 'ERR_INVALID_ARGUMENT', /weights/],
    [{ batches: cut(x), model: {} }, {}, 'ERR_INVALID_ARGUMENT', /problem.model/],
    [
      { batches: [{ x }, { x: { data: new Float64Array(4), shape: [2, 2] } }] },
      {},
      'ERR_SHAPE_MISMATCH',
      /rows of one shape/,
    ],
  ])('%j', async (problem, options, code, message) => {
    await expect(gramian({ model, params, ...problem } as never, options)).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('a loss without targets', async () => {
    await expect(hessian({ model, params, batches: cut(x), loss: 'mse' })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(/target/) }),
    );
  });
});

describe('an operator of any origin', () => {
  // [[2, 1], [0, 3], [1, 1]]
  const matrix = [2, 1, 0, 3, 1, 1];
  const product = (
    vectors: ArrayLike<number>,
    k: number,
    from: number,
    to: number,
    at: (i: number, j: number) => number,
  ) =>
    Float64Array.from({ length: k * to }, (_, index) => {
      const [vector, i] = [Math.floor(index / to), index % to];
      return Array.from({ length: from }, (_, j) => at(i, j) * vectors[vector * from + j]!).reduce(
        (a, b) => a + b,
      );
    });
  const custom = {
    shape: [3, 2] as const,
    dtype: 'float64' as const,
    matmat: (vectors: ArrayLike<number>, k: number) =>
      product(vectors, k, 2, 3, (i, j) => matrix[2 * i + j]!),
    rmatmat: async (vectors: ArrayLike<number>, k: number) =>
      product(vectors, k, 3, 2, (i, j) => matrix[2 * j + i]!),
  };

  it('multiplies both ways and becomes a matrix', async () => {
    using op = customOperator(custom);
    expect(await op.matvec(Float64Array.of(1, 2))).toEqual(Float64Array.of(4, 6, 3));
    expect(await op.rmatvec(Float64Array.of(1, 1, 1))).toEqual(Float64Array.of(3, 5));
    expect([...(await op.toDense()).data]).toEqual(matrix);
  });

  it.each([
    [{ ...custom, shape: [3] }, /shape/],
    [{ ...custom, shape: [3, 0] }, /shape/],
    [{ ...custom, symmetric: true }, /square/],
    [{ ...custom, matmat: 3 }, /matmat/],
    [null, /operator/],
  ])('is refused when it is %j', (bad, message) => {
    expect(() => customOperator(bad as never)).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });

  it('whose product is of the wrong length or kind rejects', async () => {
    using short = customOperator({ ...custom, matmat: () => new Float64Array(1) });
    await expect(short.matvec(Float64Array.of(1, 2))).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
    );
    using other = customOperator({ ...custom, matmat: () => new Float32Array(3) });
    await expect(other.matvec(Float64Array.of(1, 2))).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_DTYPE_MISMATCH' }),
    );
    using none = customOperator({ ...custom, rmatmat: undefined } as never);
    await expect(none.rmatvec(new Float64Array(3))).rejects.toThrow(/rmatmat/);
  });
});
