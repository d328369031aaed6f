/** Batches that come one by one give what all rows at once give. */
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  type Batch,
  cg,
  customOperator,
  ekfac,
  empiricalFisher,
  fisher,
  gaussNewton,
  gramian,
  hessian,
  jacobian,
  kfac,
  type LinearOperator,
  lossAndGradient,
  Model,
  matvecDense,
  matvecOnTheFly,
  nn,
  ntk,
  perSample,
  perSampleLosses,
  type Tensor,
} from '../../lib/index.ts';
import { someOf } from '../support/counts.ts';
import {
  FISHER_CASES,
  MODEL_CASES,
  modelOf,
  problemOf,
  relativeError,
  tensorOf,
  vector,
} from '../support/models.ts';

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
    expect(relativeError(await matvecDense({ model, params, batches }, v), each.jtjv)).toBeLessThan(1e-12);
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

/** Problems of each loss, with ignored targets, several data a row, and rows without any term. */
const LAW_CASES = [
  ...FISHER_CASES.map((each) => ({ ...each, target: tensorOf(each.target) })),
  ...(['mse', 'bce_with_logits', 'cross_entropy'] as const).map((loss) => ({
    ...each,
    loss,
    target: tensorOf(each.losses.find((found) => found.loss === loss)!.target),
    weights: [0.5, 2, 0, 1.25, 3],
  })),
];
const MAKERS = { gramian, jacobian, ntk, hessian, gaussNewton, empiricalFisher, fisher };
const WAYS = [{}, { chunkSize: 1 }, { chunkSize: 2, memoryBudget: 1 }, { engine: 'autograd' }] as const;

describe.each(someOf(LAW_CASES, 5).map((law) => [`${law.name}, ${law.loss}`, law] as const))(
  '%s',
  (_, law) => {
    const x = tensorOf(law.x);
    const total = x.shape[0]!;
    const base = { model: modelOf(law), params: Float64Array.from(law.params), loss: law.loss };
    const weights = Float64Array.from(law.weights.slice(0, total));
    // Rows one by one, all at once, ragged, and with empty batches at the ends and between.
    const cuts = [Array(total).fill(1), [total], [0, 1, 0, total - 1, 0]];
    const deal = (sizes: number[], own: boolean): Batch[] => {
      let begin = 0;
      return sizes.map((size) => {
        const end = begin + size;
        const batch = {
          x: rows(x, begin, end),
          target: rows(law.target, begin, end),
          ...(own && { weights: weights.slice(begin, end) }),
        };
        begin = end;
        return batch;
      });
    };

    it.each(
      Object.keys(MAKERS).flatMap((name) =>
        (['mean', 'sum'] as const).map((reduction) => [name, reduction] as const),
      ),
    )('is for %s (%s) what the rows together are', async (name, reduction) => {
      const make = MAKERS[name as keyof typeof MAKERS] as (
        problem: object,
        options: object,
      ) => Promise<LinearOperator>;
      const isFisher = name === 'empiricalFisher' || name === 'fisher';
      const kinds = [
        {},
        { weights },
        ...(name === 'hessian' || name === 'gaussNewton'
          ? []
          : [{ center: true }, { weights, center: true }]),
      ].flatMap((options) => (isFisher ? [options, { ...options, per: 'row' }] : [options]));
      const drawn = name === 'fisher' ? { seed: 4, mcSamples: 2 } : {};
      for (const [number, options] of kinds.entries()) {
        const all = { threads: 1, ...drawn, ...options };
        using whole = await make({ ...base, reduction, x, target: law.target }, all);
        const [height, width] = whole.shape;
        const [vectors, back] = [vector(2 * width, 3), vector(height, 4)];
        for (const [cut, sizes] of cuts.entries()) {
          // As an option of all rows, and as a part of each batch.
          const own = 'weights' in options && cut !== 1;
          const { weights: _, ...others } = all as { weights?: Float64Array };
          using op = await make(
            { ...base, reduction, batches: deal(sizes, own) },
            { ...(own ? others : all), ...WAYS[(number + cut) % WAYS.length] },
          );
          expect(op.shape).toEqual(whole.shape);
          expect(op.symmetric).toBe(whole.symmetric);
          expect(relativeError(await op.matmat(vectors, 2), await whole.matmat(vectors, 2))).toBeLessThan(
            1e-12,
          );
          expect(relativeError(await op.rmatvec(back), await whole.rmatvec(back))).toBeLessThan(1e-12);
        }
      }
    });

    it('has the loss and gradient that the rows together have', async () => {
      for (const reduction of ['mean', 'sum'] as const) {
        for (const options of [{}, { weights }]) {
          const whole = await lossAndGradient({ ...base, reduction, x, target: law.target }, options);
          for (const sizes of cuts) {
            const stream = { ...base, reduction, batches: deal(sizes, false) };
            const { loss, gradient } = await lossAndGradient(stream, options);
            expect(Math.abs(loss / whole.loss - 1)).toBeLessThan(1e-12);
            expect(relativeError(gradient, whole.gradient)).toBeLessThan(1e-12);
          }
        }
      }
    });
  },
);

it('has a loss of NaN and derivatives of 0 where no target counts', async () => {
  const { x } = problemOf(each);
  const batches = cut(x, { data: new Int32Array(5).fill(-100), shape: [5] });
  const problem = { model, params, batches, loss: 'cross_entropy' } as const;
  const { loss, gradient } = await lossAndGradient(problem);
  expect(loss).toBeNaN();
  expect(gradient.every((value) => value === 0)).toBe(true);
  expect((await lossAndGradient({ ...problem, reduction: 'sum' })).loss).toBe(0);
  for (const make of [hessian, gaussNewton, empiricalFisher, fisher]) {
    for (const center of make === empiricalFisher || make === fisher ? [false, true] : [false]) {
      using op = await make(problem, { ...(center && { center }) });
      expect((await op.matvec(v)).every((value) => value === 0)).toBe(true);
    }
  }
});

it.each([
  ['no target counts', { name: 'cross_entropy' }, -100],
  ['weights are 0', { name: 'cross_entropy', weight: Float64Array.of(0, 1) }, 0],
  [
    'weights are 0, smoothed',
    { name: 'cross_entropy', weight: Float64Array.of(0, 1), labelSmoothing: 0.5 },
    0,
  ],
] as const)('has the losses of data in memory where %s', async (_, loss, target) => {
  const layer = Model.sequential([nn.linear(1, 2)]);
  const whole = { data: Float64Array.of(1, 2, 3, 4, 5), shape: [5, 1] };
  const targets = { data: new Int32Array(5).fill(target), shape: [5] };
  const shared = { model: layer, params: Float64Array.of(1, -1, 0, 0), loss };
  const memory = { ...shared, x: whole, target: targets };
  const streamed = { ...shared, batches: cut(whole, targets) };
  expect((await lossAndGradient(memory)).loss).toBeNaN();
  expect((await lossAndGradient(streamed)).loss).toBeNaN();
  for (const problem of [memory, streamed]) {
    expect([...(await perSampleLosses(problem))]).toEqual(Array(5).fill(NaN));
    for await (const { losses } of perSample(problem)) expect(losses.every(Number.isNaN)).toBe(true);
  }
});

it('takes what other realms make: targets, weights and signals', async () => {
  const { x } = problemOf(each);
  const [Ints, BigInts, Floats, Controller] = runInNewContext(
    '[Int32Array, BigInt64Array, Float64Array, class { aborted = false; addEventListener() {} removeEventListener() {} throwIfAborted() {} }]',
  );
  const given = [0, -100, 2, -100, -100];
  const whole = {
    model,
    params,
    x,
    target: { data: Int32Array.from(given), shape: [5] },
    loss: 'cross_entropy',
  } as const;
  using direct = await gaussNewton(whole);
  for (const data of [Ints.from(given), BigInts.from(given.map(BigInt))]) {
    const batches = cut(x, { data, shape: [5] });
    const options = { weights: Floats.of(1, 1, 1, 1, 1), signal: new Controller() };
    using op = await gaussNewton({ model, params, batches, loss: 'cross_entropy' }, options);
    expect(relativeError(await op.matvec(Floats.from(v)), await direct.matvec(v))).toBeLessThan(1e-12);
  }
});

it('goes through a source that uses its arrays again one pass at a time', async () => {
  const { x } = problemOf(each);
  const shared = { data: new Float64Array(3), shape: [1, 3] };
  async function* batches() {
    for (let n = 0; n < 5; n++) {
      shared.data.set(rows(x, n, n + 1).data as Float64Array);
      yield { x: shared };
      shared.data.fill(Number.NaN);
    }
  }
  using op = await gramian({ model, params, batches });
  const products = await Promise.all([
    op.matvec(v),
    op.matvec(v),
    matvecOnTheFly({ model, params, batches }, v),
  ]);
  for (const product of products) expect(relativeError(product, each.jtjv)).toBeLessThan(1e-12);
});

it('keeps no more of the signal that it was made with than the set-up needs', async () => {
  const { x } = problemOf(each);
  const controller = new AbortController();
  using op = await gramian({ model, params, batches: cut(x) }, { signal: controller.signal, threads: 1 });
  controller.abort();
  expect(relativeError(await op.matvec(v), each.jtjv)).toBeLessThan(1e-12);
  const reason = new Error('never mind');
  const signal = AbortSignal.abort(reason);
  await expect(gramian({ model, params, batches: cut(x) }, { signal })).rejects.toBe(reason);
  // What is wrong besides is nobody's: an unheard rejection would end the process, and fails this run.
  await expect(gramian({ model, params, batches: 7 as never }, { signal })).rejects.toBe(reason);
  await new Promise((resolve) => setTimeout(resolve, 10));
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
    onIteration: ({ iteration }) => {
      if (iteration === 2) controller.abort(new Error('enough'));
    },
  });
  await expect(endless).rejects.toThrow(/enough/);
});

it('kfac of many batches in float32 keeps its digits', async () => {
  const small = Model.sequential([nn.linear(2, 2)]);
  const some = small.init({ seed: 1 });
  const rows = 700;
  const all = { data: new Float32Array(2 * rows).fill(0.7123), shape: [rows, 2] };
  const ones = { data: new Float32Array(2 * rows).fill(1), shape: [rows, 2] };
  const cutAt = ({ data }: typeof all, row: number) => ({
    data: data.subarray(2 * row, 2 * row + 2),
    shape: [1, 2],
  });
  const batches = Array.from({ length: rows }, (_, row) => ({
    x: cutAt(all, row),
    target: cutAt(ones, row),
  }));
  const whole = await kfac({
    model: small,
    params: some,
    x: all,
    target: ones,
    loss: 'mse',
    reduction: 'sum',
  });
  const streamed = await kfac({ model: small, params: some, batches, loss: 'mse', reduction: 'sum' });
  const [a, b] = [await streamed.trace(), await whole.trace()];
  expect(Math.abs(a / b - 1)).toBeLessThan(1e-6);
});

const OF_LOSSES = { gaussNewton, hessian, fisher, empiricalFisher, kfac, ekfac, lossAndGradient };
it.each(Object.entries(OF_LOSSES))('%s says that a batch does not fit the model', async (_, make) => {
  const unfit = {
    x: tensorOf({ shape: [2, 97], data: new Array(2 * 97).fill(0) }),
    target: tensorOf({ shape: [2, 3], data: new Array(6).fill(0) }),
  };
  const made = make({ model, params, batches: () => [unfit], loss: 'mse' } as never);
  await expect(made).rejects.toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringContaining('x does not fit the model'),
  });
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
    [{ batches: [{ x: null }] }, {}, 'ERR_INVALID_ARGUMENT', /x should be/],
    [{ batches: [7] }, {}, 'ERR_INVALID_ARGUMENT', /x, target/],
    [{ batches: new ReadableStream() }, {}, 'ERR_INVALID_ARGUMENT', /only once/],
    [{ batches: cut(x) }, { weights: new Float64Array(4) }, 'ERR_SHAPE_MISMATCH', /each row, got 4/],
    [{ batches: cut(x) }, { weights: new Float64Array(6) }, 'ERR_SHAPE_MISMATCH', /got 6 for 5 rows/],
    [{ batches: cut(x) }, { weights: new Float32Array(5) }, 'ERR_DTYPE_MISMATCH', /weights/],
    [{ batches: cut(x) }, { weights: Float64Array.of(1, 1, -1, 1, 1) }, 'ERR_INVALID_ARGUMENT', /negative/],
    [{ batches: [{ x, weights: new Float64Array(2) }] }, {}, 'ERR_SHAPE_MISMATCH', /weights of a batch .* 5/],
    [
      { batches: [{ x, weights: new Float64Array(5) }] },
      { weights: new Float64Array(5) },
      'ERR_INVALID_ARGUMENT',
      /not both/,
    ],
    [{ batches: [{ x }, { x, weights: new Float64Array(5) }] }, {}, 'ERR_SHAPE_MISMATCH', /and weights/],
    [
      { batches: [{ x: { ...x, data: Float32Array.from(x.data as Float64Array) } }] },
      {},
      'ERR_DTYPE_MISMATCH',
      /float64/,
    ],
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

  it('a function that returns the same generator again', async () => {
    const once = generator();
    using op = await gramian({ model, params, batches: () => once });
    await expect(op.matvec(v)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringMatching(/returned before/),
      }),
    );
  });

  it('a pass that gives other rows than the one before', async () => {
    let passes = 0;
    const batches = () => cut(x).slice(passes++);
    using op = await gramian({ model, params, batches });
    await expect(op.matvec(v)).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_SHAPE_MISMATCH',
        message: expect.stringMatching(/3 rows in this pass and 5 .*return a new iterable/),
      }),
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
    [{ ...custom, shape: [3, -1] }, /shape/],
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
