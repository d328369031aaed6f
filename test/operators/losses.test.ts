/** The losses with their options: what PyTorch's own give, for every operator, engine, chunk and stream. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  bind,
  empiricalFisher,
  empiricalFisherSync,
  type FloatArray,
  fisher,
  fisherSync,
  gaussNewton,
  gaussNewtonSync,
  hessian,
  hessianSync,
  type LossProblem,
  lossAndGradient,
  lossAndGradientSync,
  Model,
  nn,
  type Tensor,
} from '../../lib/index.ts';
import { someOf } from '../support/counts.ts';
import { diagonalOf } from '../support/dense.ts';
import { type Kind, PROGRAMS, lossProblemOf as problemOf } from '../support/loss-cases.ts';
import { LOSS_CASES, type LossProducts, type OptionsCase, relativeError } from '../support/models.ts';

/** The same data in batches of 2 rows and what is left, or undefined where an option has numbers for each row. */
function streamOf(problem: LossProblem & { x: Tensor }, weights: FloatArray | undefined) {
  const { x, target, ...rest } = problem;
  const rows = x.shape[0]!;
  const part = ({ data, shape }: Tensor, begin: number, end: number): Tensor => ({
    data: data.slice((data.length / rows) * begin, (data.length / rows) * end),
    shape: [end - begin, ...shape.slice(1)],
  });
  const batches = [];
  for (let begin = 0; begin < rows; begin += 2) {
    const end = Math.min(rows, begin + 2);
    batches.push({
      x: part(x, begin, end),
      ...(target && { target: part(target, begin, end) }),
      ...(weights && { weights: weights.slice(begin, end) }),
    });
  }
  return { ...rest, batches };
}

const hasRows = ({ loss }: OptionsCase) =>
  Object.values(loss).some((value) => Array.isArray(value) && Array.isArray(value[0]));

const named = LOSS_CASES.map((each) => {
  const { name, ...options } = each.loss;
  const target = each.target
    ? `${each.target.integer ? 'classes' : 'numbers'} [${each.target.shape}]`
    : 'nothing';
  return [`${name} ${JSON.stringify(options)} of ${target}`, each] as const;
});

const HOWS = [
  {},
  { chunkSize: 1 },
  { chunkSize: 2, memoryBudget: 1 },
  { chunkSize: 3 },
  { engine: 'autograd' },
] as const;

const OPERATORS = {
  hessian: hessianSync,
  gaussNewton: gaussNewtonSync,
  empiricalFisher: empiricalFisherSync,
} as const;

/** 0 where zeros are expected and given. */
function errorOf(found: ArrayLike<number>, expected: readonly number[]): number {
  return expected.every((each) => each === 0)
    ? Math.hypot(...Array.from(found))
    : relativeError(found, expected);
}

function checkProducts(
  each: OptionsCase,
  kind: Kind,
  reduction: 'mean' | 'sum',
  tolerance: number,
  expected: LossProducts,
) {
  const problem = { ...problemOf(each, kind), reduction };
  const weights = reduction === 'sum' ? { weights: new kind(each.weights) } : {};
  const v = new kind(each.v);
  for (const how of HOWS) {
    const options = { ...weights, ...how };
    const { loss, gradient } = lossAndGradientSync(problem, options);
    expect(Math.abs(loss - expected.value)).toBeLessThan(tolerance * Math.abs(expected.value));
    expect(errorOf(gradient, expected.gradient)).toBeLessThan(tolerance);
    for (const [name, make] of Object.entries(OPERATORS)) {
      const row = name === 'empiricalFisher' ? { per: 'row' as const } : {};
      using op = make(problem, { ...options, ...row });
      const product = expected[name as keyof typeof OPERATORS];
      expect(errorOf(op.matvecSync(v), product), name).toBeLessThan(tolerance);
      if (name === 'hessian') continue; // whose diagonal takes a product for each parameter
      const diagonal = Array.from(diagonalOf(op.toDenseSync()));
      expect(errorOf(op.diagonalSync(), diagonal), name).toBeLessThan(tolerance / 10);
    }
  }
}

describe.each(someOf(named, 5))('%s', (_, each) => {
  it.each([
    ['float64', Float64Array, 1e-11],
    ['float32', Float32Array, 2e-4],
  ] as const)(
    "is PyTorch's in value, gradient and curvature, whatever the chunks: %s",
    (_, kind, tolerance) => {
      checkProducts(each, kind, 'mean', tolerance, each.mean);
      checkProducts(each, kind, 'sum', tolerance, each.weightedSum);
    },
  );

  it('is the same over a stream, or refused where an option has numbers for each row', async () => {
    for (const [reduction, expected] of [
      ['mean', each.mean],
      ['sum', each.weightedSum],
    ] as const) {
      const weights = reduction === 'sum' ? Float64Array.from(each.weights) : undefined;
      const stream = { ...streamOf(problemOf(each), weights), reduction };
      if (hasRows(each)) {
        await expect(lossAndGradient(stream)).rejects.toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
        await expect(gaussNewton(stream)).rejects.toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
        continue;
      }
      const { loss, gradient } = await lossAndGradient(stream);
      expect(Math.abs(loss - expected.value)).toBeLessThan(1e-11 * Math.abs(expected.value));
      expect(errorOf(gradient, expected.gradient)).toBeLessThan(1e-11);
      for (const [name, make] of Object.entries({ hessian, gaussNewton, empiricalFisher })) {
        using op = await make(stream, name === 'empiricalFisher' ? { per: 'row' } : {});
        const product = await op.matvec(Float64Array.from(each.v));
        expect(errorOf(product, expected[name as keyof typeof OPERATORS]), name).toBeLessThan(1e-11);
      }
    }
  });

  it('draws targets from its distribution, or says what to take instead', async () => {
    const problem = { ...problemOf(each), reduction: 'mean' as const };
    if (each.mean.fisher === undefined) {
      const refused = {
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringMatching(/: take \w+|or take \w+/),
      };
      expect(() => fisherSync(problem)).toThrow(expect.objectContaining(refused));
      await expect(fisher(streamOf(problem, undefined))).rejects.toMatchObject(refused);
      return;
    }
    const v = Float64Array.from(each.v);
    for (const per of ['datum', 'row'] as const) {
      using op = fisherSync(problem, { per, mcSamples: 4000, seed: 5 });
      const product = op.matvecSync(v);
      expect(relativeError(product, each.mean.fisher)).toBeLessThan(0.12);
      using few = fisherSync(problem, { per, mcSamples: 3, seed: 5 });
      using chunked = fisherSync(problem, { per, mcSamples: 3, seed: 5, chunkSize: 2 });
      const [a, b] = [few, chunked].map((each) => each.matvecSync(v));
      expect(relativeError(a!, b!)).toBeLessThan(1e-12);
    }
  });
});

const VECTOR = LOSS_CASES.find(({ loss }) => loss.name === 'mse')!;
const CLASSES = LOSS_CASES.find(({ loss }) => loss.name === 'cross_entropy')!;
const given = (loss: unknown, target?: Tensor): LossProblem & { x: Tensor; target: Tensor } => {
  const each = (loss as { name?: string })?.name === 'cross_entropy' ? CLASSES : VECTOR;
  const problem = problemOf(each);
  return { ...problem, loss: loss as 'mse', target: target ?? problem.target! };
};
const f64 = (...values: number[]) => Float64Array.from(values);

describe('options that do not fit', () => {
  it.each([
    ['a slip of the finger', { name: 'cross_entropy', wieght: f64() }, /did you mean 'weight'/],
    ["PyTorch's spelling", { name: 'bce_with_logits', pos_weight: f64() }, /did you mean 'posWeight'/],
    [
      'that of another loss',
      { name: 'mse', delta: 1 },
      /unknown option 'delta' of problem.loss; known are name/,
    ],
    ['no name', { weight: f64(1) }, /problem.loss.name should be one of 'mse'/],
    ['another name', { name: 'hinge' }, /problem.loss.name should be one of .*'kl_div', .*got 'hinge'/],
    ['a list', ['mse'], /problem.loss should be an object/],
    ['a name of PyTorch', 'CrossEntropyLoss', /got 'CrossEntropyLoss'; did you mean 'cross_entropy'\?/],
    ['a function of PyTorch', 'kl_div_loss', /did you mean 'kl_div'\?/],
    ['a loss of probabilities', 'bce', /write 'bce_with_logits', of a model without its last sigmoid/],
    ['a loss of logarithms', 'NLLLoss', /write 'cross_entropy', of a model without its last log_softmax/],
    ['a misspelling', 'cross_entrpy', /did you mean 'cross_entropy'\?/],
    ['another loss', 'cosine_similarity', /any other loss is a model of \(y, target\).*loss: lossModel/],
    ['the reduction', { name: 'mse', reduction: 'sum' }, /\{ loss: 'mse', reduction: 'sum' \}/],
    ['a number for weights', { name: 'cross_entropy', weight: 2 }, /weight should be a Float32Array or/],
    ['a fraction for a class', { name: 'cross_entropy', ignoreIndex: 0.5 }, /ignoreIndex should be a whole/],
    [
      'too much smoothing',
      { name: 'cross_entropy', labelSmoothing: 1.1 },
      /labelSmoothing should be from 0 to 1/,
    ],
    ['NaN', { name: 'cross_entropy', labelSmoothing: Number.NaN }, /labelSmoothing should be finite/],
    [
      'weights below 0',
      { name: 'cross_entropy', weight: f64(1, -1, 1, 1) },
      /weight should be finite and not neg/,
    ],
    [
      'weights of NaN',
      { name: 'cross_entropy', weight: f64(1, Number.NaN, 1, 1) },
      /finite and not negative/,
    ],
    [
      'infinite ones',
      { name: 'bce_with_logits', weight: f64(1, 1, 1 / 0, 1) },
      /weight should be finite and/,
    ],
    [
      'positive ones below 0',
      { name: 'bce_with_logits', posWeight: f64(-1) },
      /posWeight should be finite and/,
    ],
    [
      'a variance below 0',
      { name: 'gaussian_nll', variance: -1 },
      /variance should be finite and not negative/,
    ],
    ['no variance', { name: 'gaussian_nll', eps: 0 }, /eps should be positive/],
    ['a parabola of no width', { name: 'huber', delta: 0 }, /delta should be positive/],
    ['one of less', { name: 'smooth_l1', beta: -1 }, /beta should not be negative/],
    ['a word for a flag', { name: 'poisson_nll', full: 'yes' }, /full should be true or false/],
  ])('%s', (_, loss, message) => {
    const refused = expect.objectContaining({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringMatching(message),
    });
    for (const make of [lossAndGradientSync, ...Object.values(OPERATORS)]) {
      expect(() => make(given(loss))).toThrow(refused);
    }
  });

  it.each([
    ['ERR_SHAPE_MISMATCH', { name: 'cross_entropy', weight: f64(1, 1) }],
    ['ERR_SHAPE_MISMATCH', { name: 'bce_with_logits', weight: f64(1, 1) }],
    ['ERR_SHAPE_MISMATCH', { name: 'bce_with_logits', posWeight: { data: f64(1, 1), shape: [2, 1] } }],
    ['ERR_SHAPE_MISMATCH', { name: 'bce_with_logits', posWeight: { data: f64(1, 1), shape: [1] } }],
    ['ERR_SHAPE_MISMATCH', { name: 'gaussian_nll' }],
    ['ERR_DTYPE_MISMATCH', { name: 'cross_entropy', weight: Float32Array.of(1, 1, 1, 1) }],
    ['ERR_DTYPE_MISMATCH', { name: 'cross_entropy', weight: Int32Array.of(1, 1, 1, 1) }],
    ['ERR_DTYPE_MISMATCH', { name: 'bce_with_logits', weight: { data: Int32Array.of(1), shape: [1] } }],
  ])('%s of %j', (code, loss) => {
    expect(() => lossAndGradientSync(given(loss))).toThrow(expect.objectContaining({ code }));
  });

  it('a loss of another kind', () => {
    for (const loss of [undefined, null, 1, 'huberr', new Map(), f64(1)]) {
      expect(() => lossAndGradientSync(given(loss))).toThrow(
        expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' }),
      );
    }
  });
});

describe('targets that do not fit cross_entropy', () => {
  const rows = CLASSES.x.shape[0]!;
  const soft = (value: number): Tensor => ({
    data: new Float64Array(rows * 4).fill(value),
    shape: [rows, 4],
  });
  const hard = (value: number): Tensor => ({ data: new Int32Array(rows).fill(value), shape: [rows] });

  it.each([
    ['a class that does not exist', {}, hard(4), 'ERR_INVALID_ARGUMENT', /has the class 4/],
    [
      "PyTorch's default where another is ignored",
      { ignoreIndex: 0 },
      hard(-100),
      'ERR_INVALID_ARGUMENT',
      /-100/,
    ],
    ['probabilities below 0', {}, soft(-0.1), 'ERR_INVALID_ARGUMENT', /negative/],
    [
      'probabilities and a class to ignore',
      { ignoreIndex: 1 },
      soft(0.25),
      'ERR_INVALID_ARGUMENT',
      /ignoreIndex/,
    ],
    [
      'numbers of the shape of classes',
      {},
      { data: new Float64Array(rows), shape: [rows] },
      'ERR_DTYPE_MISMATCH',
      /Int32/,
    ],
    [
      'probabilities of another shape',
      {},
      { data: new Float64Array(rows * 3), shape: [rows, 3] },
      'ERR_SHAPE_MISMATCH',
      /\[5, 4\]/,
    ],
    [
      'classes of the shape of probabilities',
      {},
      { data: new Int32Array(rows * 4), shape: [rows, 4] },
      'ERR_SHAPE_MISMATCH',
      /\[5\]/,
    ],
  ])('%s', (_, options, target, code, message) => {
    const problem = given({ name: 'cross_entropy', ...options }, target);
    for (const make of [lossAndGradientSync, fisherSync, ...Object.values(OPERATORS)]) {
      expect(() => make(problem)).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      );
    }
  });

  it('an index to ignore may need more bits than the targets have', () => {
    for (const ignoreIndex of [2 ** 40, -(2 ** 50)]) {
      const target: Tensor = { data: Int32Array.of(0, 1, 2, 3, 0), shape: [rows] };
      const plain = given({ name: 'cross_entropy' }, target);
      const problem = given({ name: 'cross_entropy', ignoreIndex }, target);
      expect(lossAndGradientSync(problem)).toEqual(lossAndGradientSync(plain));
      for (const make of [fisherSync, ...Object.values(OPERATORS)]) {
        using op = make(problem);
        using other = make(plain);
        expect(op.toDenseSync()).toEqual(other.toDenseSync());
      }
    }
  });

  it('all ignored, by any index, and all of weight 0: a mean of NaN, derivatives of 0', async () => {
    for (const problem of [
      given({ name: 'cross_entropy', ignoreIndex: 2, weight: f64(1, 2, 3, 4), labelSmoothing: 0.1 }, hard(2)),
      given({ name: 'cross_entropy', weight: f64(1, 2, 0, 4) }, hard(2)),
    ]) {
      const { x, target, ...rest } = problem;
      const found = [
        lossAndGradientSync(problem),
        lossAndGradientSync(problem, { chunkSize: 2 }),
        await lossAndGradient({ ...rest, batches: [{ x, target }] }),
      ];
      for (const { loss, gradient } of found) {
        expect(loss).toBeNaN();
        expect(gradient.every((each) => each === 0)).toBe(true);
      }
      for (const make of [fisherSync, ...Object.values(OPERATORS)]) {
        using op = make(problem);
        expect(op.toDenseSync().data.every((each) => each === 0)).toBe(true);
      }
    }
  });
});

it('gaussian_nll refuses predicted variances that are negative', () => {
  const model = Model.sequential([nn.linear(2, 2)]);
  const problem = {
    model,
    params: f64(0, 0, 0, 0, 0, -1),
    x: { data: f64(1, 2), shape: [1, 2] },
    target: { data: f64(1), shape: [1, 1] },
    loss: 'gaussian_nll',
  } as const;
  const refused = /variances, some of which are negative: let the model end in softplus/;
  expect(() => lossAndGradientSync(problem)).toThrow(refused);
  for (const make of [fisherSync, ...Object.values(OPERATORS)]) {
    expect(() => make(problem).toDenseSync()).toThrow(refused);
  }
});

it('weights of rows that are NaN or infinite are refused', async () => {
  for (const weight of [Number.NaN, Number.POSITIVE_INFINITY, -1]) {
    const problem = given('mse');
    const weights = new Float64Array(problem.x.shape[0]!).fill(1);
    weights[3] = weight;
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: 'weights should be finite and not negative' };
    expect(() => lossAndGradientSync(problem, { weights })).toThrow(expect.objectContaining(refused));
    expect(() => gaussNewtonSync(problem, { weights })).toThrow(expect.objectContaining(refused));
    await expect(gaussNewton(streamOf(problem, weights))).rejects.toMatchObject(refused);
  }
});

describe('an L2 term', () => {
  const problem = problemOf(CLASSES);
  const { model } = problem;
  const params = Float64Array.from(CLASSES.params);
  const v = Float64Array.from(CLASSES.v);
  const terms = [
    ['of all parameters', 0.25, () => true],
    ['of all, as a record', { weight: 0.25 }, () => true],
    ['of weights', { weight: 0.5, parameters: '*.weight' }, (name: string) => name.endsWith('weight')],
    ['of a list', { weight: 2, parameters: ['0.*', '2.bias'] }, (name: string) => name !== '2.weight'],
    ['of none', { weight: 3, parameters: [] }, () => false],
    ['of no weight', 0, () => true],
  ] as const;
  const groups = [
    { weight: 0.5, parameters: '*.weight' },
    { weight: 0.25, parameters: ['0.*'] },
  ];
  const inGroups = (name: string) => (name.endsWith('weight') ? 0.5 : 0) + (name.startsWith('0.') ? 0.25 : 0);

  it.each<[string, LossProblem['l2'], (name: string) => number]>([
    ...terms.map(
      ([how, l2, matches]) =>
        [how, l2, (name: string) => (matches(name) ? (typeof l2 === 'number' ? l2 : l2.weight) : 0)] as [
          string,
          LossProblem['l2'],
          (name: string) => number,
        ],
    ),
    ['of several terms', groups, inGroups],
    ['of no term', [], () => 0],
  ])('adds ½ λ Σ θ², λ θ and λ I: %s', async (_, l2, weightOf) => {
    const lambda = new Float64Array(params.length);
    for (const { name, offset, length } of model.parameters)
      lambda.fill(weightOf(name), offset, offset + length);
    const value = params.reduce((sum, each, i) => sum + (lambda[i]! * each * each) / 2, 0);
    const close = (found: ArrayLike<number>, plain: ArrayLike<number>, added: (i: number) => number) =>
      expect(
        relativeError(
          found,
          Array.from(plain, (each, i) => each + added(i)),
        ),
      ).toBeLessThan(1e-13);

    for (const reduction of ['mean', 'sum'] as const) {
      const plain = { ...problem, reduction };
      const whole = { ...plain, l2: l2! };
      const stream = { ...streamOf(plain, undefined), l2: l2! };
      const without = lossAndGradientSync(plain);
      const found = [
        lossAndGradientSync(whole),
        lossAndGradientSync(whole, { chunkSize: 2 }),
        await lossAndGradient(stream),
      ];
      for (const { loss, gradient } of found) {
        expect(Math.abs(loss - without.loss - value)).toBeLessThan(1e-12 * loss);
        close(gradient, without.gradient, (i) => lambda[i]! * params[i]!);
      }
      for (const [sync, promised] of [
        [hessianSync, hessian],
        [gaussNewtonSync, gaussNewton],
      ] as const) {
        using bare = sync(plain);
        using op = sync(whole);
        using streamed = await promised(stream);
        expect(op.kind).toBe(bare.kind);
        const both = Float64Array.from([...v, ...v.map((each) => 2 * each)]);
        close(op.matvecSync(v), bare.matvecSync(v), (i) => lambda[i]! * v[i]!);
        close(op.matmatSync(both, 2), bare.matmatSync(both, 2), (i) => lambda[i % v.length]! * both[i]!);
        close(
          await streamed.matmat(both, 2),
          bare.matmatSync(both, 2),
          (i) => lambda[i % v.length]! * both[i]!,
        );
        close(op.diagonalSync(), bare.diagonalSync(), (i) => lambda[i]!);
        const [rows] = op.shape;
        const { data } = bare.toDenseSync();
        close(op.toDenseSync().data, data, (i) => (i % (rows + 1) === 0 ? lambda[i / (rows + 1)]! : 0));
      }
      // Of the distribution of the targets alone.
      using fisherOf = empiricalFisherSync(whole);
      using bare = empiricalFisherSync(plain);
      expect(fisherOf.matvecSync(v)).toEqual(bare.matvecSync(v));
    }
  });

  it.each([
    [-1, /l2 should not be negative/],
    [Number.NaN, /l2 should be finite/],
    ['1e-4', /problem.l2 should be an object/],
    [{ wieght: 1 }, /did you mean 'weight'/],
    [{ parameters: '*' }, /l2 should be a number, got undefined/],
    [[{ weight: 1 }, { weight: -1 }], /l2 should not be negative/],
    [[[1]], /problem.l2 should be an object/],
    [{ weight: 1, parameters: 3 }, /parameters should be a pattern or a list/],
    [{ weight: 1, parameters: '9.*' }, /no parameter matches '9.\*'; there are 0.weight/],
  ])('that makes no sense is refused: %j', async (l2, message) => {
    const wrong = { ...problem, l2: l2 as number };
    const refused = { code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) };
    expect(() => lossAndGradientSync(wrong)).toThrow(expect.objectContaining(refused));
    expect(() => hessianSync(wrong)).toThrow(expect.objectContaining(refused));
    const { l2: _, ...plain } = wrong;
    await expect(hessian({ ...streamOf(plain, undefined), l2: l2 as number })).rejects.toMatchObject(refused);
  });
});

describe('a model that gives its own loss', () => {
  const { residual } = JSON.parse(
    readFileSync(new URL('../fixtures/losses.json', import.meta.url), 'utf8'),
  ) as { residual: LossProducts & { x: { data: number[]; shape: number[] }; v: number[] } };
  const model = PROGRAMS.get('residual')!;
  const x = { ...residual.x, data: Float64Array.from(residual.x.data) };
  const problem = { model, params: model.init({ dtype: 'float64' }), x, loss: 'output' };
  const v = Float64Array.from(residual.v);
  const batches = [
    { x: { data: x.data.slice(0, 3), shape: [3, 1] } },
    { x: { data: x.data.slice(3), shape: [4, 1] } },
  ];
  const stream = { model, params: problem.params, batches, loss: 'output' };

  it("has PyTorch's value, gradient, Hessian and empirical Fisher matrix", async () => {
    for (const how of HOWS) {
      const { loss, gradient } = lossAndGradientSync(problem, how);
      expect(Math.abs(loss - residual.value)).toBeLessThan(1e-12 * residual.value);
      expect(relativeError(gradient, residual.gradient)).toBeLessThan(1e-11);
      for (const name of ['hessian', 'empiricalFisher'] as const) {
        using op = OPERATORS[name](problem, how);
        expect(relativeError(op.matvecSync(v), residual[name]), name).toBeLessThan(1e-11);
      }
    }
    const { loss, gradient } = await lossAndGradient(stream);
    expect(Math.abs(loss - residual.value)).toBeLessThan(1e-12 * residual.value);
    expect(relativeError(gradient, residual.gradient)).toBeLessThan(1e-11);
    using op = await hessian(stream);
    expect(relativeError(await op.matvec(v), residual.hessian)).toBeLessThan(1e-11);
  });

  it('has no Gauss–Newton matrix, no Fisher matrix and no target', async () => {
    const target = { data: new Float64Array(7), shape: [7] };
    for (const [call, message] of [
      [() => gaussNewton(problem), /gaussNewton of the loss 'output' is zero.*loss: lossModel/],
      [() => gaussNewton(stream), /gaussNewton of the loss 'output' is zero/],
      [() => fisher(problem), /fisher draws targets.*: take hessian or/],
      [() => fisher(stream), /fisher draws targets/],
      [() => hessian({ ...problem, target }), /takes no target: leave it out/],
      [() => hessian({ ...problem, loss: 'mse' }), /problem.target should be a tensor/],
    ] as const) {
      await expect(call()).rejects.toMatchObject({
        code: 'ERR_INVALID_ARGUMENT',
        message: expect.stringMatching(message),
      });
    }
    const wide = Model.sequential([nn.linear(1, 2)]);
    await expect(
      hessian({ model: wide, params: wide.init({ dtype: 'float64' }), x, loss: 'output' }),
    ).rejects.toMatchObject({ code: 'ERR_SHAPE_MISMATCH', message: expect.stringContaining('[7, 2]') });
  });
});

describe('a target of truth values', () => {
  const marked = LOSS_CASES.find(({ loss }) => loss.name === 'marked-rows')!;
  const problem = problemOf(marked);

  it('may be bound', async () => {
    using bound = await bind({ ...problem, reduction: 'mean' as const });
    const { gradient } = await lossAndGradient(bound.at(problem.params));
    expect(errorOf(gradient, marked.mean.gradient)).toBeLessThan(1e-11);
  });

  it('is an array of bytes, and none of numbers', async () => {
    const { data, shape } = problem.target!;
    const numbers = { data: Int32Array.from(data as Uint8Array), shape };
    await expect(lossAndGradient({ ...problem, target: numbers })).rejects.toMatchObject({
      code: 'ERR_DTYPE_MISMATCH',
      message: expect.stringMatching(/problem\.target\.data should be a Uint8Array of zeros and ones.*bool/),
    });
  });
});

describe('losses that are programs and do not fit', () => {
  const program = (name: string) => PROGRAMS.get(name)!;
  const rows = VECTOR.x.shape[0]!;
  const target: Tensor = { data: new Float64Array(rows * 4), shape: [rows, 4] };
  const narrow = Model.sequential([nn.linear(2, 3)]);

  it.each([
    [
      'of the whole batch',
      program('refused-scalar'),
      {},
      'ERR_SHAPE_MISMATCH',
      /one number for each of the 5 rows.*\[\]/,
    ],
    [
      'of rows that depend on one another',
      program('refused-mixed'),
      {},
      'ERR_UNSUPPORTED_OP',
      /rows of the loss depend/,
    ],
    ['of two targets', program('refused-two-targets'), {}, 'ERR_INVALID_ARGUMENT', /takes 3 inputs/],
    [
      'of a fixed batch',
      program('refused-fixed'),
      {},
      'ERR_SHAPE_MISMATCH',
      /batch of 3 rows alone: export it/,
    ],
    [
      'of outputs alone, with a target',
      program('energy'),
      {},
      'ERR_INVALID_ARGUMENT',
      /leave the target out/,
    ],
    [
      'without its target',
      program('clicks'),
      { target: undefined },
      'ERR_INVALID_ARGUMENT',
      /needs a target/,
    ],
    [
      'of other outputs',
      program('clicks'),
      { model: narrow, params: narrow.init({ dtype: 'float64' }) },
      'ERR_SHAPE_MISMATCH',
      /exported for outputs of the shape \[any, 4\], they are \[5, 3\]/,
    ],
    [
      'of another target',
      program('clicks'),
      { target: { data: new Float64Array(rows * 3), shape: [rows, 3] } },
      'ERR_SHAPE_MISMATCH',
      /the target of the shape \[any, 4\]/,
    ],
    [
      'of other rows',
      program('clicks'),
      { target: { data: new Float64Array(8), shape: [2, 4] } },
      'ERR_SHAPE_MISMATCH',
      /one row for each of the 5/,
    ],
    [
      'without its parameters',
      Model.sequential([nn.linear(4, 1)]),
      {},
      'ERR_INVALID_ARGUMENT',
      /params should be the parameters/,
    ],
    ['that is no model', { model: 3 }, {}, 'ERR_INVALID_ARGUMENT', /problem.loss.model should be a Model/],
    [
      'with a sampler that is none',
      { model: program('clicks'), sampler: 'normal' },
      {},
      'ERR_INVALID_ARGUMENT',
      /sampler should be a Model/,
    ],
    [
      'with a slip of the finger',
      { model: program('clicks'), sample: 1 },
      {},
      'ERR_INVALID_ARGUMENT',
      /did you mean 'sampler'/,
    ],
  ])('%s', (_, loss, changes, code, message) => {
    const { target: _given, ...rest } = given('mse');
    const problem = { ...rest, target, ...changes, loss } as LossProblem;
    for (const make of [lossAndGradientSync, fisherSync, ...Object.values(OPERATORS)]) {
      expect(() => make(problem)).toThrow(
        expect.objectContaining({ code, message: expect.stringMatching(message) }),
      );
    }
  });

  it('a list of layers is a loss of the outputs alone, at the parameters that are given', () => {
    const model = Model.sequential([nn.linear(4, 1), nn.softplus(), nn.squeeze(-1)]);
    const { target: _, ...rest } = given('mse');
    const params = model.init({ seed: 4, dtype: 'float64' });
    // The same as one model, whose output is the loss.
    const joined = Model.sequential([
      nn.linear(2, 3),
      nn.tanh(),
      nn.linear(3, 4),
      nn.linear(4, 1),
      nn.softplus(),
      nn.squeeze(-1),
    ]);
    const all = Float64Array.from([...(rest.params as Float64Array), ...params]);
    const found = lossAndGradientSync({ ...rest, loss: { model, params } });
    const whole = lossAndGradientSync({ model: joined, params: all, x: rest.x, loss: 'output' });
    expect(found.loss).toBeCloseTo(whole.loss, 12);
    const P = found.gradient.length;
    expect(relativeError(found.gradient, whole.gradient.slice(0, P))).toBeLessThan(1e-13);
    using op = hessianSync({ ...rest, loss: { model, params } });
    using of = hessianSync({ model: joined, params: all, x: rest.x, loss: 'output' });
    const v = Float64Array.from(VECTOR.v);
    const wide = Float64Array.from([...v, ...new Float64Array(params.length)]);
    expect(relativeError(op.matvecSync(v), of.matvecSync(wide).slice(0, P))).toBeLessThan(1e-12);
  });

  it('a sampler draws targets of the shape of those that are given', () => {
    const problem = given({ model: program('squared-rows'), sampler: program('class-sampler') });
    expect(() => fisherSync(problem)).toThrow(/sampler should give targets of the shape \[5, 4\], got \[5\]/);
  });
});

it.each([
  ['squared-rows', 'mse', 4],
  ['cross-entropy-rows', 'cross_entropy', 1],
])('%s is the loss built in, in every operator', (name, built, share) => {
  const each = LOSS_CASES.find(({ loss }) => loss.name === name)!;
  const problem = problemOf(each);
  const v = Float64Array.from(each.v);
  // A program's mean divides by rows, that of mse by elements.
  for (const [reduction, factor] of [
    ['mean', share],
    ['sum', 1],
  ] as const) {
    const own = { ...problem, reduction };
    const builtIn = { ...own, loss: built as 'mse' };
    const [a, b] = [lossAndGradientSync(own), lossAndGradientSync(builtIn)];
    expect(Math.abs(a.loss - factor * b.loss)).toBeLessThan(1e-12 * a.loss);
    for (const make of Object.values(OPERATORS)) {
      using op = make(own);
      using other = make(builtIn);
      const expected = other.matvecSync(v).map((value) => factor * value);
      expect(relativeError(op.matvecSync(v), expected)).toBeLessThan(1e-12);
    }
  }
});

describe('gaussian_nll', () => {
  const model = Model.sequential([nn.linear(1, 3)]);
  const given = {
    model,
    params: Float64Array.of(1, 2, 3, 0, 0, 0),
    x: { data: Float64Array.of(1, 2, 3), shape: [3, 1] },
    target: { data: new Float64Array(9), shape: [3, 3] },
  };
  const lossOf = (variance: FloatArray | Tensor) =>
    lossAndGradientSync({ ...given, loss: { name: 'gaussian_nll', variance } }).loss;

  it('tells variances of rows from those of columns', () => {
    const data = Float64Array.of(1, 10, 100);
    expect(() => lossOf(data)).toThrow(
      expect.objectContaining({
        code: 'ERR_SHAPE_MISMATCH',
        message: expect.stringMatching(/as in \[N, 1\]/),
      }),
    );
    const mean = (v: (row: number, column: number) => number) => {
      let sum = 0;
      for (let i = 0; i < 3; i++)
        for (let j = 0; j < 3; j++) sum += (Math.log(v(i, j)) + ((i + 1) * (j + 1)) ** 2 / v(i, j)) / 2;
      return sum / 9;
    };
    expect(lossOf({ data, shape: [3, 1] })).toBeCloseTo(
      mean((i) => data[i]!),
      12,
    );
    expect(lossOf({ data, shape: [1, 3] })).toBeCloseTo(
      mean((_, j) => data[j]!),
      12,
    );
  });

  it('has no derivatives where a predicted variance is infinite', () => {
    const problem = {
      model: Model.sequential([nn.linear(1, 2)]),
      params: Float64Array.of(1, 1, 0, Infinity),
      x: { data: Float64Array.of(2), shape: [1, 1] },
      target: { data: Float64Array.of(1), shape: [1, 1] },
      loss: 'gaussian_nll' as const,
    };
    const { loss, gradient } = lossAndGradientSync(problem);
    expect(loss).toBe(Infinity);
    expect([...gradient]).toEqual([0, 0, 0, 0]);
  });
});
