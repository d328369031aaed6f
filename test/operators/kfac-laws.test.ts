/** Kronecker factors in the cases where they are known in closed form, and what is refused. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  ekfac,
  ekfacSync,
  empiricalFisherSync,
  fisherSync,
  Generator,
  gaussNewtonSync,
  type KfacOptions,
  type KroneckerOperator,
  kfac,
  kfacSync,
  type LinearOperator,
  type LossProblem,
  logdetSync,
  Model,
  nn,
  profile,
  type Tensor,
} from '../../lib/index.ts';
import { eigenvalues } from '../support/dense.ts';
import { relativeError } from '../support/models.ts';

type Layers = Parameters<typeof Model.sequential>[0];
type Given = LossProblem<Float64Array> & { x: Tensor; target: Tensor; model: Model; params: Float64Array };

const draw = new Generator(5);
const randn = (...shape: number[]) => draw.randn(shape, { dtype: 'float64' });

/** A problem with squared errors. */
function squared(layers: Layers, x: Tensor, outputs: number[]): Given {
  const model = Model.sequential(layers);
  const params = model.init({ seed: 3, dtype: 'float64' }) as Float64Array;
  return { model, params, x, target: randn(x.shape[0]!, ...outputs), loss: 'mse' };
}

/** A problem with classes, [N] of them or [N, positions]. */
function classes(layers: Layers, x: Tensor, count: number, ...positions: number[]): Given {
  const model = Model.sequential(layers);
  const params = model.init({ seed: 3, dtype: 'float64' }) as Float64Array;
  const shape = [x.shape[0]!, ...positions];
  const data = Int32Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => (i * 7 + 1) % count);
  return { model, params, x, target: { data, shape }, loss: 'cross_entropy' };
}

const dense = (op: LinearOperator) => op.toDenseSync().data;
const distance = (a: LinearOperator, b: LinearOperator) => relativeError(dense(a), dense(b));

/** The blocks of a matrix that lie between the parameters of one layer, whose names begin alike. */
function blocksOf(op: LinearOperator, model: Model, join = true): Float64Array {
  const n = op.shape[0];
  const layerOf = model.parameters.flatMap(({ name, length }) =>
    Array.from({ length }, () => (join ? name.split('.')[0] : name)),
  );
  return Float64Array.from(dense(op), (value, at) =>
    layerOf[Math.floor(at / n)] === layerOf[at % n] ? value : 0,
  );
}

describe('equal to the matrix itself', () => {
  const linear = (inputs: number, ...rest: Layers) => [nn.linear(inputs, 3), ...rest];

  it.each([
    ['one linear layer, squared errors', squared(linear(4), randn(7, 4), [3])],
    ['the same without a bias', squared([nn.linear(4, 3, { bias: false })], randn(7, 4), [3])],
    ['positions that share a linear layer', squared(linear(4), randn(5, 6, 4), [6, 3])],
    [
      'pixels of a convolution that overlaps nothing',
      squared([nn.conv2d(2, 3, 2, { stride: 2 })], randn(4, 2, 4, 6), [3, 2, 3]),
    ],
    [
      'groups that are layers of their own',
      squared([nn.conv1d(4, 4, 1, { groups: 4 })], randn(4, 4, 1), [4, 1]),
    ],
    [
      'an embedding',
      squared([nn.embedding(5, 3)], { data: Int32Array.of(0, 3, 3, 1, 4, 0), shape: [2, 3] }, [3, 3]),
    ],
  ])('%s', (_, problem) => {
    for (const reduction of ['mean', 'sum'] as const) {
      const whole = gaussNewtonSync({ ...problem, reduction });
      expect(distance(kfacSync({ ...problem, reduction }), whole)).toBeLessThan(1e-12);
      expect(distance(ekfacSync({ ...problem, reduction }), whole)).toBeLessThan(1e-12);
      const weights = Float64Array.from({ length: problem.x.shape[0]! }, (_, i) => i % 3);
      const weighted = gaussNewtonSync({ ...problem, reduction }, { weights });
      expect(distance(kfacSync({ ...problem, reduction }, { weights }), weighted)).toBeLessThan(1e-12);
    }
  });

  it('blocks of a deep linear network, squared errors: the G of all data is one', () => {
    const problem = squared([nn.linear(4, 3), nn.linear(3, 5), nn.linear(5, 2)], randn(6, 4), [2]);
    const whole = gaussNewtonSync(problem);
    const expected = blocksOf(whole, problem.model);
    expect(relativeError(dense(kfacSync(problem)), expected)).toBeLessThan(1e-12);
    expect(relativeError(dense(ekfacSync(problem)), expected)).toBeLessThan(1e-12);
  });

  it.each(['type2', 'empirical'] as const)('blocks of any network for one datum, %s', (fisher) => {
    const problem = classes(
      [nn.linear(4, 3), nn.tanh(), nn.linear(3, 5), nn.gelu(), nn.linear(5, 3)],
      randn(1, 4),
      3,
    );
    const whole = fisher === 'type2' ? gaussNewtonSync(problem) : empiricalFisherSync(problem);
    const expected = blocksOf(whole, problem.model);
    expect(relativeError(dense(kfacSync(problem, { fisher })), expected)).toBeLessThan(1e-12);
    expect(relativeError(dense(ekfacSync(problem, { fisher })), expected)).toBeLessThan(1e-12);
  });

  it.each([
    'poisson_nll',
    'smooth_l1',
    'l1',
    'kl_div',
    { name: 'huber', delta: 0.7 },
    { name: 'bce_with_logits', posWeight: Float64Array.of(1, 2, 3) },
  ])('one linear layer and one row, whatever the loss: %o', (loss) => {
    const model = Model.sequential(linear(4));
    const params = model.init({ seed: 3, dtype: 'float64' });
    const target = { data: Float64Array.of(0.2, 0.5, 0.3), shape: [1, 3] };
    const problem = { model, params, x: randn(1, 4), target, loss };
    const drawn = typeof loss === 'string' ? loss === 'poisson_nll' : loss.name === 'bce_with_logits';
    for (const make of [kfacSync, ekfacSync]) {
      const kinds: [LinearOperator, LinearOperator][] = [
        [make(problem), gaussNewtonSync(problem)],
        [make(problem, { fisher: 'empirical' }), empiricalFisherSync(problem)],
      ];
      if (drawn) kinds.push([make(problem, { fisher: 'mc', seed: 4 }), fisherSync(problem, { seed: 4 })]);
      else expect(() => make(problem, { fisher: 'mc' })).toThrow(/fisher/);
      for (const [found, expected] of kinds) expect(distance(found, expected)).toBeLessThan(1e-12);
    }
  });

  it("'reduce' where a linear layer is followed by the mean over the positions", () => {
    // The mean as a pooling of [N, 1, positions, features] over the positions.
    const layers = [nn.linear(4, 3), nn.avgPool2d([6, 1]), nn.flatten()];
    const problem = squared(layers, randn(5, 1, 6, 4), [3]);
    const whole = gaussNewtonSync(problem);
    expect(distance(kfacSync(problem, { approximation: 'reduce' }), whole)).toBeLessThan(1e-12);
    expect(distance(kfacSync(problem, { approximation: 'expand' }), whole)).toBeGreaterThan(0.01);
  });

  it('the blocks of parameters that no layer covers, and their diagonal', () => {
    const problem = classes([nn.linear(3, 4), nn.layerNorm([4]), nn.tanh(), nn.linear(4, 3)], randn(6, 3), 3);
    const { model } = problem;
    const whole = gaussNewtonSync(problem);
    const norm = (op: LinearOperator) => op.submatrix(['1.*']);
    const blocks = blocksOf(whole, model, false);
    const kept = norm(kfacSync(problem, { others: 'block' })).toDenseSync().data;
    const [begin, n] = [model.parameters.find(({ name }) => name === '1.weight')!.offset, whole.shape[0]];
    const expected = Float64Array.from({ length: 64 }, (_, at) => {
      const [i, j] = [begin + Math.floor(at / 8), begin + (at % 8)];
      return blocks[i * n + j]!;
    });
    expect(relativeError(kept, expected)).toBeLessThan(1e-12);
    const diagonal = kfacSync(problem, { others: 'diagonal' });
    expect(relativeError(norm(diagonal).diagonalSync(), norm(whole).diagonalSync())).toBeLessThan(1e-12);
    expect(
      norm(diagonal)
        .toDenseSync()
        .data.filter((each) => each !== 0),
    ).toHaveLength(8);
  });
});

describe('unchanged', () => {
  const layers = [nn.linear(3, 4), nn.tanh(), nn.linear(4, 3)];

  it('by rows that are repeated instead of weighted', () => {
    const x = randn(4, 3);
    const once = classes(layers, x, 3);
    const times = [2, 0, 1, 3];
    const rows = times.flatMap((count, n) => Array.from({ length: count }, () => n));
    const repeated: Given = {
      ...once,
      x: {
        data: Float64Array.from(rows.flatMap((n) => [...x.data.slice(n * 3, n * 3 + 3)].map(Number))),
        shape: [6, 3],
      },
      target: { data: Int32Array.from(rows, (n) => Number(once.target.data[n])), shape: [6] },
      reduction: 'sum',
    };
    const weights = Float64Array.from(times);
    for (const make of [kfacSync, ekfacSync]) {
      for (const fisher of ['type2', 'empirical'] as const) {
        const weighted = make({ ...once, reduction: 'sum' }, { weights, fisher });
        expect(distance(make(repeated, { fisher }), weighted)).toBeLessThan(1e-11);
      }
    }
  });

  it('by an affine change of the inputs that the first layer undoes', () => {
    // x' = D x + s and W' = W D⁻¹, b' = b − W' s: gradients change by the transpose of the change of the parameters.
    const problem = classes(layers, randn(6, 3), 3);
    const [d, s] = [
      [2, 0.5, -3],
      [1, -2, 0.25],
    ];
    const moved = (problem.x.data as Float64Array).map((value, i) => d[i % 3]! * value + s[i % 3]!);
    const params = problem.params.slice();
    for (let o = 0; o < 4; o++) {
      for (let i = 0; i < 3; i++) {
        params[o * 3 + i]! /= d[i]!;
        params[12 + o]! -= params[o * 3 + i]! * s[i]!;
      }
    }
    const other = { ...problem, params, x: { data: moved, shape: problem.x.shape } };
    /** What a tangent of the new parameters is for the old ones, T v. */
    const pulled = (v: Float64Array) => {
      const result = v.slice();
      for (let o = 0; o < 4; o++) {
        for (let i = 0; i < 3; i++) {
          result[o * 3 + i]! *= d[i]!;
          result[12 + o]! += v[o * 3 + i]! * s[i]!;
        }
      }
      return result;
    };
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, each, i) => sum + each * b[i]!, 0);
    for (const fisher of ['type2', 'empirical'] as const) {
      const [before, after] = [kfacSync(problem, { fisher }), kfacSync(other, { fisher })];
      for (const salt of [1, 2, 3]) {
        const v = Float64Array.from({ length: params.length }, (_, i) => Math.sin(salt * (i + 1)));
        const w = Float64Array.from({ length: params.length }, (_, i) => Math.cos(salt * i));
        const expected = dot(pulled(w), before.matvecSync(pulled(v)) as Float64Array);
        expect(dot(w, after.matvecSync(v) as Float64Array)).toBeCloseTo(expected, 9);
      }
    }
  });

  it('by the precision, as far as that goes', () => {
    const problem = classes(layers, randn(5, 3), 3);
    const single = {
      ...problem,
      params: Float32Array.from(problem.params),
      x: { data: Float32Array.from(problem.x.data as Float64Array), shape: problem.x.shape },
    };
    for (const make of [kfacSync, ekfacSync]) {
      const op = make(single);
      expect(op.dtype).toBe('float32');
      expect(relativeError(dense(op), dense(make(problem)))).toBeLessThan(1e-5);
    }
  });

  it('by draws, in the mean: mc averages to type2', () => {
    const problems = [classes(layers, randn(3, 3), 3), squared(layers, randn(3, 2, 3), [2, 3])];
    for (const problem of problems) {
      for (const per of ['datum', 'row'] as const) {
        const drawn = (mcSamples: number) => kfacSync(problem, { fisher: 'mc', per, mcSamples, seed: 1 });
        const expected = kfacSync(problem);
        expect(distance(drawn(800), expected)).toBeLessThan(0.1);
        expect(distance(drawn(2), expected)).toBeGreaterThan(0.1);
        const seeds = [1, 1, 2].map((seed) => dense(kfacSync(problem, { fisher: 'mc', per, seed })));
        expect(seeds[0]).toEqual(seeds[1]);
        expect(seeds[0]).not.toEqual(seeds[2]);
      }
    }
  });

  it('by what a batch is cut into, draws included', async () => {
    const { x, target, ...rest } = classes(layers, randn(6, 3), 3);
    const part = (begin: number, end: number) => ({
      x: { data: x.data.slice(begin * 3, end * 3), shape: [end - begin, 3] },
      target: { data: target.data.slice(begin, end), shape: [end - begin] },
    });
    const batches = [part(0, 2), part(2, 2), part(2, 6)];
    const options: KfacOptions = { fisher: 'mc', mcSamples: 3, seed: 9n };
    for (const [one, many] of [
      [kfacSync({ ...rest, x, target }, options), await kfac({ ...rest, batches }, options)],
      [ekfacSync({ ...rest, x, target }, options), await ekfac({ ...rest, batches }, options)],
    ] as const) {
      expect(distance(many, one)).toBeLessThan(1e-11);
      expect(many.kind).toBe(one.kind);
    }
    expect(
      distance(
        kfacSync({ ...rest, x, target }, { ...options, chunkSize: 1 }),
        kfacSync({ ...rest, x, target }, options),
      ),
    ).toBeLessThan(1e-12);
    await expect(kfac({ ...rest, batches: [] })).rejects.toThrow(/at least one row/);
  });
});

it('takes rows together, as many operators for four of them as for forty', async () => {
  const operators = async (rows: number) => {
    const layers = [
      nn.conv2d(1, 2, 2),
      nn.gelu(),
      nn.flatten(),
      nn.linear(8, 4),
      nn.layerNorm([4]),
      nn.linear(4, 3),
    ];
    const problem = classes(layers, randn(rows, 1, 3, 3), 3);
    const { profile: seen } = await profile(() => ekfac(problem, { others: 'block' }));
    return seen.events().filter(({ name }) => name === 'aten::bmm' || name.startsWith('aten::baddbmm'))
      .length;
  };
  expect(await operators(4)).toBeGreaterThan(0);
  expect(await operators(40)).toBe(await operators(4));
});

describe('made of operators that vmap does not know', () => {
  const file = (name: string) => fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url));

  it('has the Gauss–Newton diagonal of a recurrent layer', async () => {
    const model = await Model.load(file('lstm.pt2'));
    const params = Float64Array.from(model.initialParameters!);
    const x = randn(4, 4, 3);
    const outputs = model.forwardSync(params, x).shape.slice(1);
    const problem = { model, params, x, target: randn(4, ...outputs), loss: 'mse' } as const;
    using op = await kfac(problem, { others: 'diagonal' });
    const recurrent = model.parameters.filter(({ name }) => name.includes('_l0'));
    expect(recurrent.length).toBeGreaterThan(0);
    const names = recurrent.map(({ name }) => name);
    const whole = gaussNewtonSync(problem).submatrix(names).diagonalSync();
    expect(relativeError(op.submatrix(names).diagonalSync(), whole)).toBeLessThan(1e-9);
  });
});

describe('refused', () => {
  const problem = classes([nn.linear(3, 4), nn.tanh(), nn.linear(4, 3)], randn(4, 3), 3);
  const failure = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      return error as Error & { code: string };
    }
    throw new Error('nothing was refused');
  };

  it.each<[string, KfacOptions, RegExp]>([
    ['a kind', { fisher: 'exact' as 'mc' }, /fisher should be one of 'type2', 'mc', 'empirical'/],
    ['an approximation', { approximation: 'none' as 'expand' }, /approximation should be one of/],
    ['what of others', { others: 'drop' as 'block' }, /others should be one of/],
    ['samples of nothing', { mcSamples: 3 }, /mcSamples is for fisher: 'mc'/],
    ['no samples', { fisher: 'mc', mcSamples: 0 }, /mcSamples should be a whole number/],
    ['a seed of nothing', { fisher: 'empirical', seed: 3 }, /seed is for fisher: 'mc'/],
    ['a misspelt name', { approximations: 'expand' } as KfacOptions, /did you mean 'approximation'/],
  ])('%s', (_, options, message) => {
    for (const make of [kfacSync, ekfacSync]) {
      const { code, message: text } = failure(() => make(problem, options));
      expect(text).toMatch(message);
      expect(code).toBe('ERR_INVALID_ARGUMENT');
    }
  });

  it('damping that is none, and inverses that do not exist', () => {
    const op = kfacSync(problem);
    const eigen = ekfacSync(problem);
    for (const damping of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1' as unknown as number]) {
      expect(failure(() => op.inverseSync({ damping })).code).toBe('ERR_INVALID_ARGUMENT');
      expect(failure(() => op.logdetSync({ damping })).code).toBe('ERR_INVALID_ARGUMENT');
    }
    expect(failure(() => op.inverseSync({ method: 'best' as 'pi' })).message).toMatch(
      /method should be one of/,
    );
    // Softmax does not see what is added to all logits.
    for (const each of [op, eigen]) {
      expect(failure(() => each.inverseSync()).message).toMatch(/singular: give a damping above 0/);
      expect(each.logdetSync()).toBe(Number.NEGATIVE_INFINITY);
    }
    for (const none of [eigen, op.inverseSync({ damping: 1 })]) {
      const { message } = failure(() => none.inverseSync({ damping: 0.1, method: 'pi' }));
      expect(message).toMatch(/use 'exact'/);
    }
  });

  it('parameters that no layer covers, with the line to write', () => {
    const normed = classes([nn.linear(3, 3), nn.layerNorm([3])], randn(4, 3), 3);
    const { code, message } = failure(() => kfacSync(normed));
    expect(code).toBe('ERR_UNSUPPORTED_OP');
    expect(message).toMatch(/1\.weight \(aten::layer_norm\), 1\.bias .*\{ others: 'diagonal' \}/);
  });

  it('a model that was exported for some rows at a time', async () => {
    const model = await Model.load(
      fileURLToPath(new URL('../fixtures/models/cnn-static.pt2', import.meta.url)),
    );
    const shape = [model.batchSize!, 1, 8, 8];
    const params = Float64Array.from(model.initialParameters!);
    const given = { model, params, x: randn(...shape), target: randn(shape[0]!, 2), loss: 'mse' } as const;
    const { code, message } = failure(() => kfacSync(given, { others: 'diagonal' }));
    expect(code).toBe('ERR_UNSUPPORTED_OP');
    expect(message).toMatch(/Dim\('batch'\)/);
  });

  it('a loss whose Hessian would not fit, before it is made', () => {
    const wide = squared([nn.linear(1, 400_000, { bias: false })], randn(1, 1), [400_000]);
    const { code, message } = failure(() => kfacSync(wide));
    expect(code).toBe('ERR_OUT_OF_MEMORY');
    expect(message).toMatch(/'mc' takes none|Kronecker factors/);
  });

  it('an abort, while factors are made', async () => {
    const x = randn(400, 2, 12, 12);
    const layers = [nn.conv2d(2, 8, 3), nn.tanh(), nn.conv2d(8, 8, 3), nn.flatten(), nn.linear(512, 40)];
    const long = squared(layers, x, [40]);
    for (const make of [kfac, ekfac]) {
      const controller = new AbortController();
      const pending = make(long, { signal: controller.signal });
      setTimeout(() => controller.abort(), 50);
      await expect(pending).rejects.toThrow(/abort/i);
    }
  });
});

it('is an operator like others, and shows itself', async () => {
  const problem = squared([nn.linear(3, 2)], randn(4, 3), [2]);
  const op: KroneckerOperator<Float64Array> = await kfac(problem);
  expect(String(op)).toBe('[object KroneckerOperator]');
  expect([op.kind, op.shape, op.symmetric, op.dtype]).toEqual(['kfac', [8, 8], true, 'float64']);
  const inverse = await op.inverse({ damping: 0.5 });
  expect(inverse.kind).toBe('inverse');
  const { eigenvectors } = await op.eigh();
  expect([eigenvectors.kind, eigenvectors.shape]).toEqual(['eigenvectors', [8, 8]]);
  // Parts of it are those of the parameters that it is over.
  expect(op.submatrix(['0.bias']).toDenseSync().shape).toEqual([2, 2]);
  const v = { '0.weight': new Float64Array(6).fill(1), '0.bias': new Float64Array(2).fill(1) };
  expect(op.matvecSync(v)).toEqual(op.matvecSync(new Float64Array(8).fill(1)));
  expect(op.matmatSync(new Float64Array(16).fill(1), 2)).toHaveLength(16);
  op.dispose();
  expect(() => op.traceSync()).toThrow(/dispose/);
  await expect(op.inverse({ damping: 1 })).rejects.toMatchObject({ code: 'ERR_DISPOSED' });
  expect(inverse.traceSync()).toBeGreaterThan(0);
});

it('of a weight that derivatives by the inputs read transposed says so', async () => {
  const file = fileURLToPath(new URL('../fixtures/graphs/gradient-normalized.pt2', import.meta.url));
  const model = await Model.load(file);
  const params = Float64Array.from(model.initialParameters!);
  const problem = { model, params, x: randn(4, 3), target: randn(4, 3), loss: 'mse' } as const;
  expect(() => kfacSync(problem)).toThrow(/weight \(layers of two kinds \(as it is and transposed/);
});

it('of a weight that an embedding and a linear layer share takes the diagonal for it', async () => {
  const model = await Model.load(fileURLToPath(new URL('../fixtures/kfac/tied.pt2', import.meta.url)));
  const params = Float64Array.from(model.initialParameters!);
  const x = { data: BigInt64Array.of(0n, 1n, 2n, 2n, 3n, 0n), shape: [3, 2] };
  const target = { data: Int32Array.of(0, 1, 3, 2, 2, 1), shape: [3, 2] };
  const problem = { model, params, x, target, loss: 'cross_entropy' } as const;
  expect(() => kfacSync(problem)).toThrow(/embed.weight \(layers of two kinds/);
  const op = kfacSync(problem, { others: 'diagonal' });
  const diagonal = gaussNewtonSync(problem).submatrix(['embed.weight']).diagonalSync();
  expect(relativeError(op.submatrix(['embed.weight']).diagonalSync(), diagonal)).toBeLessThan(1e-12);
  // A parameter that nothing reads has zeros, and a bias that two layers share is no part of either.
  expect(op.submatrix(['unused']).diagonalSync()).toEqual(new Float64Array(3));
  const shared = gaussNewtonSync(problem).submatrix(['shared']).diagonalSync();
  expect(relativeError(op.submatrix(['shared']).diagonalSync(), shared)).toBeLessThan(1e-12);
});

describe('the corrected eigenvalues', () => {
  /** Of the first layer A has a null space, as there are more inputs than rows. */
  const layers = [nn.conv2d(2, 3, 3), nn.tanh(), nn.flatten(), nn.linear(27, 3)];
  const problem = squared(layers, randn(9, 2, 5, 5), [3]);
  const narrow = {
    ...problem,
    params: Float32Array.from(problem.params),
    x: { ...problem.x, data: Float32Array.from(problem.x.data as Float64Array) },
    target: { ...problem.target, data: Float32Array.from(problem.target.data as Float64Array) },
  };

  it.each(['expand', 'reduce'] as const)('of %s are those of any basis of a null space', (approximation) => {
    const how = { approximation, fisher: 'empirical' } as const;
    const whole = ekfacSync(problem, how);
    expect(distance(ekfacSync(problem, { ...how, chunkSize: 4 }), whole)).toBeLessThan(1e-9);
    expect(distance(ekfacSync(narrow, how), whole)).toBeLessThan(1e-4);
    const trace = (op: LinearOperator) => Array.from(op.diagonalSync()).reduce((sum, each) => sum + each, 0);
    expect(trace(whole) / trace(empiricalFisherSync(problem))).toBeCloseTo(1, 10);
  });

  it('are those of any basis where the gradients at the positions of a row cancel', () => {
    // The mean over the positions is subtracted: G is 0 but for rounding.
    const centered = [nn.conv1d(2, 3, 1, { bias: false }), nn.layerNorm(4, { elementwiseAffine: false })];
    const all = [...centered, nn.tanh(), nn.flatten(), nn.linear(12, 2)];
    const given = squared(all, randn(7, 2, 4), [2]);
    for (const chunkSize of [1, 3, 7]) {
      const op = ekfacSync(given, { approximation: 'reduce', chunkSize });
      const block = op.submatrix(['0.*']).diagonalSync();
      for (let output = 1; output < 3; output++)
        expect(relativeError(block.subarray(2 * output, 2 * output + 2), block.subarray(0, 2))).toBeLessThan(
          1e-9,
        );
      expect(distance(op, ekfacSync(given, { approximation: 'reduce' }))).toBeLessThan(1e-9);
      expect(kfacSync(given, { approximation: 'reduce' }).submatrix(['0.*']).diagonalSync()).toEqual(
        new Float64Array(6),
      );
    }
  });

  it('are NaN where gradients are infinite', () => {
    const given = squared(
      [nn.conv1d(2, 3, 1, { bias: false }), nn.flatten(), nn.linear(12, 2)],
      randn(3, 2, 4),
      [2],
    );
    (given.params as Float64Array)[8] = Number.POSITIVE_INFINITY;
    const found = dense(kfacSync(given, { approximation: 'reduce' }));
    expect(found.some((each) => !Number.isFinite(each))).toBe(true);
  });

  it.each(['diagonal', 'block'] as const)('without any layer are those of kfac, others: %s', (others) => {
    const norms = squared([nn.layerNorm(3), nn.tanh()], randn(6, 3), [3]);
    expect(distance(ekfacSync(norms, { others }), kfacSync(norms, { others }))).toBeLessThan(1e-12);
  });
});

describe('a layer alone', () => {
  const rows = new Generator(6).randn([7, 4], { dtype: 'float64' });
  const problem = classes([nn.linear(4, 6), nn.tanh(), nn.linear(6, 3)], rows, 3);

  it.each([
    ['kfac', kfacSync(problem)],
    ['ekfac', ekfacSync(problem)],
  ])('of %s has the determinant of its matrix, and its part of the inverse', (_, made) => {
    const block = made.submatrix(['2.*']).damp(0.3);
    const { estimate } = logdetSync(block, { method: 'exact' });
    const logarithms = eigenvalues({ data: dense(block), shape: block.shape }).map(Math.log);
    expect(estimate).toBeCloseTo(
      logarithms.reduce((sum, each) => sum + each, 0),
      10,
    );
    const product = block.multiply(made.inverseSync({ damping: 0.3 }).submatrix(['2.*']));
    const identity = Float64Array.from({ length: 21 * 21 }, (_, i) => (i % 22 === 0 ? 1 : 0));
    expect(relativeError(dense(product), identity)).toBeLessThan(1e-12);
  });
});

it('lets NaN of the Hessian of a loss through, and infinity', () => {
  const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 3)]);
  for (const odd of [Number.NaN, Number.POSITIVE_INFINITY]) {
    const params = model.init({ dtype: 'float64' });
    params[params.length - 1] = odd;
    const problem = {
      model,
      params,
      x: new Generator(5).randn([5, 3], { dtype: 'float64' }),
      target: { data: new Int32Array(5), shape: [5] },
    };
    for (const make of [kfacSync, ekfacSync]) {
      const diagonal = make({ ...problem, loss: 'cross_entropy' }).diagonalSync();
      expect(Array.from(diagonal).every(Number.isNaN)).toBe(true);
    }
  }
});

it('lets NaN through', () => {
  const problem = squared([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)], randn(6, 3), [2]);
  (problem.x.data as Float64Array)[4] = Number.NaN;
  for (const made of [kfacSync(problem), ekfacSync(problem)]) {
    const product = made.inverseSync({ damping: 1 }).matvecSync(new Float64Array(made.shape[0]).fill(1));
    expect(product.some(Number.isNaN)).toBe(true);
    expect(made.eighSync().eigenvalues.some(Number.isNaN)).toBe(true);
  }
});
