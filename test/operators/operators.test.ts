/** Laws of the curvature operators, over the table of models and losses. */
import { describe, expect, it } from 'vitest';
import {
  checkDeterministic,
  customOperator,
  denseOperator,
  diagonalOperator,
  empiricalFisher,
  empiricalFisherSync,
  fisher,
  fisherSync,
  gaussNewton,
  gaussNewtonSync,
  gramian,
  gramianSync,
  hessian,
  hessianSync,
  jacobian,
  jacobianSync,
  type LinearOperator,
  type LossProblem,
  linearizeSync,
  lossAndGradient,
  lossAndGradientSync,
  ntk,
  ntkSync,
  type OperatorOptions,
  type Tensor,
} from '../../lib/index.ts';
import { someOf } from '../support/counts.ts';
import { apply, diagonalOf, element, type Matrix, matrix, times, transpose } from '../support/dense.ts';
import {
  dot,
  type LossCase,
  MODEL_CASES,
  type ModelCase,
  problemOf,
  relativeError,
  tensorOf,
  toFloat32,
  vector,
} from '../support/models.ts';

/** How an operator may be made; each gives the same products. */
const MADE: Record<string, OperatorOptions> = {
  'at once': {},
  'by autograd': { engine: 'autograd' },
  'row by row': { chunkSize: 1 },
  'in chunks, the last one ragged': { chunkSize: 2 },
  'in chunks, none of them kept': { chunkSize: 3, memoryBudget: 1 },
  'with weights of one': { weights: new Float64Array(0) },
};

/** The options, with as many weights as there are rows. */
function optionsOf(options: OperatorOptions, rows: number): OperatorOptions {
  return options.weights === undefined ? options : { ...options, weights: new Float64Array(rows).fill(1) };
}

function lossProblemOf(each: ModelCase, { loss, reduction, target }: LossCase) {
  return { ...problemOf(each), loss, reduction, target: tensorOf(target) } satisfies LossProblem;
}

function caseOf(name: string): ModelCase {
  return MODEL_CASES.find((each) => each.name === name)!;
}

/** The problem of row n alone. */
function rowOf<P extends LossProblem & { x: Tensor; target: Tensor }>(problem: P, n: number): P {
  const cut = ({ data, shape }: Tensor): Tensor => {
    const width = data.length / shape[0]!;
    return { data: data.slice(n * width, (n + 1) * width), shape: [1, ...shape.slice(1)] };
  };
  return { ...problem, x: cut(problem.x), target: cut(problem.target) };
}

function lossesOf(each: ModelCase) {
  return each.losses.map((loss) => [`${loss.loss}, ${loss.reduction}`, loss] as const);
}

describe.each(someOf(MODEL_CASES).map((each) => [each.name, each] as const))('%s', (_, each: ModelCase) => {
  const problem = problemOf(each);
  const v = Float64Array.from(each.v);
  const u = Float64Array.from(each.u);
  const rows = each.x.shape[0]!;

  it.each(Object.entries(MADE))("made %s, gramian, jacobian and ntk give PyTorch's numbers", (_, made) => {
    const options = optionsOf(made, rows);
    using gram = gramianSync(problem, options);
    expect(relativeError(gram.matvecSync(v), each.jtjv)).toBeLessThan(1e-10);
    expect(relativeError(gram.rmatvecSync(v), each.jtjv)).toBeLessThan(1e-10);
    using j = jacobianSync(problem, options);
    expect(relativeError(j.matvecSync(v), each.jv)).toBeLessThan(1e-10);
    expect(relativeError(j.rmatvecSync(u), each.jtu)).toBeLessThan(1e-10);
    using kernel = ntkSync(problem, options);
    expect(relativeError(kernel.matvecSync(u), each.jjtu)).toBeLessThan(1e-10);
    expect(relativeError(kernel.rmatvecSync(u), each.jjtu)).toBeLessThan(1e-10);
  });

  describe.each(lossesOf(each))('%s', (_, lossCase) => {
    const problem = lossProblemOf(each, lossCase);

    it.each(Object.entries(MADE))("made %s, the matrices of the loss give PyTorch's numbers", (_, made) => {
      const options = optionsOf(made, rows);
      using curvature = hessianSync(problem, options);
      expect(relativeError(curvature.matvecSync(v), lossCase.hessianV)).toBeLessThan(1e-10);
      using positive = gaussNewtonSync(problem, options);
      expect(relativeError(positive.matvecSync(v), lossCase.gaussNewtonV)).toBeLessThan(1e-10);
      using empirical = empiricalFisherSync(problem, options);
      expect(relativeError(empirical.matvecSync(v), lossCase.empiricalFisherV)).toBeLessThan(1e-10);
      const { loss, gradient } = lossAndGradientSync(problem, options);
      expect(Math.abs(loss / lossCase.value - 1)).toBeLessThan(1e-12);
      expect(relativeError(gradient, lossCase.gradient)).toBeLessThan(1e-11);
    });

    it('gives them in float32 to its precision', () => {
      const single = ({ data, shape }: Tensor): Tensor => ({
        data: data instanceof Float64Array ? toFloat32(data) : data,
        shape,
      });
      const inSingle = {
        ...problem,
        params: toFloat32(each.params),
        x: single(problem.x),
        target: single(problem.target),
      };
      for (const [make, expected] of [
        [hessianSync, lossCase.hessianV],
        [gaussNewtonSync, lossCase.gaussNewtonV],
        [empiricalFisherSync, lossCase.empiricalFisherV],
      ] as const) {
        using op = make(inSingle);
        expect(op.dtype).toBe('float32');
        expect(relativeError(op.matvecSync(toFloat32(v)), expected)).toBeLessThan(1e-5);
      }
      expect(relativeError(lossAndGradientSync(inSingle).gradient, lossCase.gradient)).toBeLessThan(1e-5);
    });

    // Of the padding row of an embedding PyTorch says that the derivative is zero, although the loss depends on it.
    const PADDED = ' (skipped: the derivative of a padding row is zero by definition)';
    const padded = JSON.stringify(each.layers).includes('paddingIdx');

    it.skipIf(padded)(`the Hessian is the difference of gradients${padded ? PADDED : ''}`, () => {
      const h = 1e-5;
      const at = (step: number) =>
        lossAndGradientSync({ ...problem, params: v.map((element, i) => each.params[i]! + step * element) })
          .gradient;
      const [above, below] = [at(h), at(-h)];
      const difference = above.map((g, i) => (g - below[i]!) / (2 * h));
      using op = hessianSync(problem);
      expect(relativeError(op.matvecSync(v), difference)).toBeLessThan(1e-6);
    });

    it('the empirical Fisher matrix per row is that of the gradients of the rows', () => {
      const gradients = Array.from(
        { length: rows },
        (_, n) => lossAndGradientSync({ ...rowOf(problem, n), reduction: 'sum' }).gradient,
      );
      const c = problem.reduction === 'mean' ? 1 / problem.target.data.length : 1;
      const expected = v.map((_, i) => gradients.reduce((sum, g) => sum + c * g[i]! * dot(g, v), 0));
      using op = empiricalFisherSync(problem, { per: 'row' });
      expect(relativeError(op.matvecSync(v), expected)).toBeLessThan(1e-11);
    });

    it('fisher of many draws is close to gaussNewton', () => {
      using limit = gaussNewtonSync(problem);
      using op = fisherSync(problem, { mcSamples: 2000, seed: 1 });
      // Draws have a relative deviation of about √2, which falls with the root of their number, here at most 1/45.
      expect(relativeError(op.matvecSync(v), limit.matvecSync(v))).toBeLessThan(0.15);
    });

    it('fisher draws by its seed, whatever the chunks', () => {
      const drawn = (options: Parameters<typeof fisherSync>[1]) => {
        using op = fisherSync(problem, { mcSamples: 3, ...options });
        return op.matvecSync(v);
      };
      expect(drawn({ seed: 5 })).toEqual(drawn({ seed: 5n }));
      for (const chunkSize of [1, 2, 3]) {
        expect(relativeError(drawn({ seed: 5, chunkSize }), drawn({ seed: 5 }))).toBeLessThan(1e-11);
        expect(
          relativeError(drawn({ seed: 5, chunkSize, memoryBudget: 1 }), drawn({ seed: 5 })),
        ).toBeLessThan(1e-11);
      }
      expect(drawn({ seed: 5, engine: 'autograd' }).length).toBe(v.length);
      expect(drawn({})).toEqual(drawn({ seed: 0 }));
      expect(relativeError(drawn({ seed: 6 }), drawn({ seed: 5 }))).toBeGreaterThan(1e-3);
    });
  });
});

// Three outputs, so that rows of the batch and rows of J are not the same.
const each = caseOf('mlp relu, several outputs');
const rows = each.x.shape[0]!;
const outputs = each.u.length / rows;
const problem = lossProblemOf(each, each.losses.find(({ loss }) => loss === 'cross_entropy')!);
const { model } = problem;
const P = model.parameterCount;
const v = Float64Array.from(each.v);
const u = Float64Array.from(each.u);

const KINDS: Record<
  string,
  {
    make: (options?: OperatorOptions) => Promise<LinearOperator>;
    makeSync: (options?: OperatorOptions) => LinearOperator;
    shape: [number, number];
  }
> = {
  gramian: { make: (o) => gramian(problem, o), makeSync: (o) => gramianSync(problem, o), shape: [P, P] },
  jacobian: {
    make: (o) => jacobian(problem, o),
    makeSync: (o) => jacobianSync(problem, o),
    shape: [u.length, P],
  },
  ntk: { make: (o) => ntk(problem, o), makeSync: (o) => ntkSync(problem, o), shape: [u.length, u.length] },
  hessian: { make: (o) => hessian(problem, o), makeSync: (o) => hessianSync(problem, o), shape: [P, P] },
  gaussNewton: {
    make: (o) => gaussNewton(problem, o),
    makeSync: (o) => gaussNewtonSync(problem, o),
    shape: [P, P],
  },
  empiricalFisher: {
    make: (o) => empiricalFisher(problem, o),
    makeSync: (o) => empiricalFisherSync(problem, o),
    shape: [P, P],
  },
  fisher: { make: (o) => fisher(problem, o), makeSync: (o) => fisherSync(problem, o), shape: [P, P] },
};

describe.each(Object.entries(KINDS))('%s', (name, { make, makeSync, shape }) => {
  const [height, width] = shape;
  const a = vector(width, 5);
  const b = vector(height, 6);

  it('has its shape, precision and symmetry', () => {
    using op = makeSync();
    expect(op.shape).toEqual(shape);
    expect(op.dtype).toBe('float64');
    expect(op.device).toBe('cpu');
    expect(op.symmetric).toBe(name !== 'jacobian');
  });

  it('is the matrix that toDense gives', () => {
    using op = makeSync();
    const dense = op.toDenseSync();
    expect(dense.shape).toEqual(shape);
    expect(relativeError(op.matvecSync(a), apply(dense, a))).toBeLessThan(1e-12);
    expect(relativeError(op.rmatvecSync(b), apply(transpose(dense), b))).toBeLessThan(1e-12);
    if (op.symmetric) expect(relativeError(transpose(dense).data, dense.data)).toBeLessThan(1e-12);
  });

  it('gives several products at once', () => {
    using op = makeSync({ chunkSize: 2 });
    const dense = op.toDenseSync();
    for (const k of [0, 1, 3]) {
      const many = vector(k * width, 7);
      const each = Array.from({ length: k }, (_, i) => [
        ...apply(dense, many.subarray(i * width, (i + 1) * width)),
      ]);
      expect(relativeError(op.matmatSync(many, k), each.flat())).toBeLessThan(1e-12);
      const back = vector(k * height, 8);
      const eachBack = Array.from({ length: k }, (_, i) => [
        ...apply(transpose(dense), back.subarray(i * height, (i + 1) * height)),
      ]);
      expect(relativeError(op.rmatmatSync(back, k), eachBack.flat())).toBeLessThan(1e-12);
    }
  });

  it('gives the same from promises as on the calling thread', async () => {
    using op = await make();
    using twin = makeSync();
    expect(await op.matvec(a)).toEqual(twin.matvecSync(a));
    expect(await op.rmatvec(b)).toEqual(twin.rmatvecSync(b));
    expect(await op.matmat(a, 1)).toEqual(twin.matmatSync(a, 1));
    expect(await op.rmatmat(b, 1)).toEqual(twin.rmatmatSync(b, 1));
    expect(await op.toDense()).toEqual(twin.toDenseSync());
    if (height === width) expect(await op.diagonal()).toEqual(twin.diagonalSync());
  });

  it('writes into out', async () => {
    using op = makeSync();
    const out = new Float64Array(height);
    expect(await op.matvec(a, { out })).toBe(out);
    expect(out).toEqual(op.matvecSync(a));
    const back = new Float64Array(width);
    expect(op.rmatvecSync(b, { out: back })).toBe(back);
    expect(back).toEqual(op.rmatvecSync(b));
  });

  it('has the diagonal of its matrix', () => {
    using op = makeSync({ chunkSize: 2 });
    if (height === width) {
      expect(relativeError(op.diagonalSync(), diagonalOf(op.toDenseSync()))).toBeLessThan(1e-12);
    } else {
      expect(() => op.diagonalSync()).toThrow(expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }));
    }
  });

  it('copies: parameters and data that change later change nothing', async () => {
    const changing = {
      ...problem,
      params: Float64Array.from(each.params),
      x: { ...problem.x, data: problem.x.data.slice() },
      target: { ...problem.target, data: problem.target.data.slice() },
    };
    const makers: Record<
      string,
      (problem: LossProblem, options: OperatorOptions) => Promise<LinearOperator>
    > = {
      gramian,
      jacobian,
      ntk,
      hessian,
      gaussNewton,
      empiricalFisher,
      fisher,
    };
    const pending = makers[name]!(changing, { chunkSize: 2, memoryBudget: 1 });
    changing.params.fill(Number.NaN);
    (changing.x.data as Float64Array).fill(Number.NaN);
    (changing.target.data as Int32Array).fill(0);
    using op = await pending;
    using twin = makeSync({ chunkSize: 2 });
    expect(relativeError(await op.matvec(a), twin.matvecSync(a))).toBeLessThan(1e-12);
  });

  it('says so when it is used after its dispose', async () => {
    const op = makeSync();
    const pending = op.matvec(a);
    op.dispose();
    op.dispose();
    expect(await pending).toHaveLength(height);
    expect(op.disposed).toBe(true);
    const disposed = expect.objectContaining({
      code: 'ERR_DISPOSED',
      message: expect.stringContaining('the operator'),
    });
    expect(() => op.matvecSync(a)).toThrow(disposed);
    expect(() => op.toDenseSync()).toThrow(disposed);
    expect(() => op.scale(2)).toThrow(disposed);
    await expect(op.rmatvec(b)).rejects.toThrow(disposed);
  });

  it('stops when its signal is aborted', async () => {
    const reason = new Error('too late');
    const signal = AbortSignal.abort(reason);
    await expect(make({ signal })).rejects.toBe(reason);
    using op = makeSync();
    await expect(op.matvec(a, { signal })).rejects.toBe(reason);
    await expect(op.toDense({ signal })).rejects.toBe(reason);
  });

  it('gives the same bits each time', async () => {
    using op = makeSync();
    expect(await checkDeterministic(op)).toBe(true);
  });

  it('is zero, or nothing, for an empty batch', () => {
    const empty = {
      ...problem,
      x: { data: new Float64Array(0), shape: [0, 3] },
      target: { data: new Int32Array(0), shape: [0] },
      reduction: 'sum' as const,
    };
    const makers: Record<string, (problem: LossProblem) => LinearOperator> = {
      gramian: gramianSync,
      jacobian: jacobianSync,
      ntk: ntkSync,
      hessian: hessianSync,
      gaussNewton: gaussNewtonSync,
      empiricalFisher: empiricalFisherSync,
      fisher: fisherSync,
    };
    using op = makers[name]!(empty);
    const size = (length: number) => (length === P ? P : 0);
    expect(op.shape).toEqual([size(height), size(width)]);
    expect(op.matvecSync(new Float64Array(size(width)).fill(1))).toEqual(new Float64Array(size(height)));
    expect(op.rmatvecSync(new Float64Array(size(height)).fill(1))).toEqual(new Float64Array(size(width)));
  });
});

describe('weights and centring', () => {
  const weights = Float64Array.from([0.5, 2, 0, 1.25, 3]);
  const ones = new Float64Array(rows).fill(1);

  /** √W (I − 1wᵀ/Σw) J, element by element; `width` rows of J for each row of the batch. */
  function weighted(j: Matrix, w: Float64Array, center: boolean, width: number) {
    const total = w.reduce((sum, each) => sum + each, 0);
    return matrix(j.shape[0]!, j.shape[1]!, (i, p) => {
      const n = Math.floor(i / width);
      let mean = 0;
      for (let m = 0; m < w.length; m++) mean += (w[m]! / total) * element(j, m * width + (i % width), p);
      return Math.sqrt(w[n]!) * (element(j, i, p) - (center ? mean : 0));
    });
  }

  const j = jacobianSync(problem).toDenseSync();
  const gradients = matrix(rows, P, (n, p) => lossAndGradientSync(rowOf(problem, n)).gradient[p]!);

  describe.each([
    ['weights', { weights }, weights, false],
    ['weights, centered', { weights, center: true }, weights, true],
    ['centered', { center: true }, ones, true],
  ] as const)('%s', (_, given, w, center) => {
    it.each([{}, { chunkSize: 2 }, { chunkSize: 2, memoryBudget: 1 }, { engine: 'autograd' }] as const)(
      'are those of the dense matrices, with %j',
      (how) => {
        const a = weighted(j, w, center, outputs);
        const options = { ...given, ...how };
        using root = jacobianSync(problem, options);
        expect(relativeError(root.toDenseSync().data, a.data)).toBeLessThan(1e-12);
        expect(relativeError(root.rmatvecSync(u), apply(transpose(a), u))).toBeLessThan(1e-12);
        using gram = gramianSync(problem, options);
        expect(relativeError(gram.toDenseSync().data, times(transpose(a), a).data)).toBeLessThan(1e-12);
        expect(relativeError(gram.diagonalSync(), diagonalOf(times(transpose(a), a)))).toBeLessThan(1e-12);
        using kernel = ntkSync(problem, options);
        expect(relativeError(kernel.toDenseSync().data, times(a, transpose(a)).data)).toBeLessThan(1e-12);
        // The mean over rows of what the rows' gradients give, by the default reduction.
        const g = weighted(gradients, w, center, 1);
        using empirical = empiricalFisherSync(problem, options);
        const expected = times(transpose(g), g).data.map((each) => each / rows);
        expect(relativeError(empirical.toDenseSync().data, expected)).toBeLessThan(1e-12);
      },
    );
  });

  it.each(lossesOf(each))('multiply the losses of the rows: %s', (_, lossCase) => {
    const problem = lossProblemOf(each, lossCase);
    const c = lossCase.reduction === 'mean' ? 1 / rows : 1;
    const sumOf = (ofRow: (problem: LossProblem) => ArrayLike<number>) => {
      const parts = Array.from({ length: rows }, (_, n) => ofRow(rowOf(problem, n)));
      return Array.from(parts[0]!, (_, i) =>
        parts.reduce((sum, part, n) => sum + c * weights[n]! * part[i]!, 0),
      );
    };
    for (const how of [{ weights }, { weights, chunkSize: 2 }]) {
      const { loss, gradient } = lossAndGradientSync(problem, how);
      expect(loss).toBeCloseTo(sumOf((row) => [lossAndGradientSync(row).loss])[0]!, 12);
      expect(
        relativeError(
          gradient,
          sumOf((row) => lossAndGradientSync(row).gradient),
        ),
      ).toBeLessThan(1e-12);
      for (const make of [hessianSync, gaussNewtonSync]) {
        using op = make(problem, how);
        const expected = sumOf((row) => {
          using one = make(row);
          return one.matvecSync(v);
        });
        expect(relativeError(op.matvecSync(v), expected)).toBeLessThan(1e-11);
      }
    }
  });
});

describe('combinations', () => {
  const makers = { gramian: () => gramianSync(problem), gaussNewton: () => gaussNewtonSync(problem) };
  const [a, b] = [makers.gramian().toDenseSync(), makers.gaussNewton().toDenseSync()];
  const identity = matrix(P, P, (i, k) => Number(i === k));
  const plus = (x: Matrix, y: Matrix, c = 1) =>
    matrix(P, P, (i, k) => element(x, i, k) + c * element(y, i, k));

  /** Made of operators that are disposed before the combination is used. */
  function derived(make: (a: LinearOperator, b: LinearOperator) => LinearOperator): LinearOperator {
    using x = makers.gramian();
    using y = makers.gaussNewton();
    return make(x, y);
  }

  it.each<[string, (a: LinearOperator, b: LinearOperator) => LinearOperator, Matrix]>([
    ['A + B', (a, b) => a.add(b), plus(a, b)],
    ['−0.5 A', (a) => a.scale(-0.5), plus(a, a, -1.5)],
    ['0 A', (a) => a.scale(0), plus(a, a, -1)],
    ['A + 0.3 I', (a) => a.damp(0.3), plus(a, identity, 0.3)],
    ['A B', (a, b) => a.multiply(b), times(a, b)],
    [
      '(2 (A + B) − I) A',
      (a, b) => a.add(b).scale(2).damp(-1).multiply(a),
      times(plus(plus(plus(a, b), plus(a, b)), identity, -1), a),
    ],
  ])('%s', async (_, make, dense) => {
    using op = derived(make);
    expect(op.shape).toEqual([P, P]);
    expect(relativeError(op.matvecSync(v), apply(dense, v))).toBeLessThan(1e-12);
    expect(relativeError(op.rmatvecSync(v), apply(transpose(dense), v))).toBeLessThan(1e-12);
    expect(relativeError((await op.toDense()).data, dense.data)).toBeLessThan(1e-12);
    expect(relativeError(op.diagonalSync(), diagonalOf(dense))).toBeLessThan(1e-12);
    const two = vector(2 * P, 4);
    const products = [apply(dense, two.subarray(0, P)), apply(dense, two.subarray(P))];
    expect(relativeError(await op.matmat(two, 2), [...products[0]!, ...products[1]!])).toBeLessThan(1e-12);
    const symmetric = relativeError(transpose(dense).data, dense.data) < 1e-12;
    // Nothing may claim a symmetry that is not there.
    if (op.symmetric) expect(symmetric).toBe(true);
  });

  it('A + λ diag A', async () => {
    const x = makers.gramian();
    using op = await x.dampRelative(0.2);
    x.dispose();
    const dense = matrix(P, P, (i, k) => element(a, i, k) * (i === k ? 1.2 : 1));
    expect(relativeError(op.toDenseSync().data, dense.data)).toBeLessThan(1e-12);
    expect(op.symmetric).toBe(true);
  });

  it('J Jᵀ and JᵀJ from J and operators on the other side', () => {
    using j = jacobianSync(problem);
    using kernel = ntkSync(problem);
    using both = kernel.multiply(j);
    const dense = times(kernel.toDenseSync(), j.toDenseSync());
    expect(both.shape).toEqual([u.length, P]);
    expect(both.symmetric).toBe(false);
    expect(relativeError(both.toDenseSync().data, dense.data)).toBeLessThan(1e-12);
    expect(relativeError(both.rmatvecSync(u), apply(transpose(dense), u))).toBeLessThan(1e-12);
    // Still over parameters: by name, and cut by name.
    expect(both.matvecSync(model.unflatten(v))).toEqual(both.matvecSync(v));
  });

  it('parts of the parameters by the patterns of their names', () => {
    const indices = (names: string[]) =>
      model.parameters
        .filter(({ name }) => names.includes(name))
        .flatMap(({ offset, length }) => Array.from({ length }, (_, i) => offset + i));
    for (const [patterns, names] of [
      [['0.*'], ['0.weight', '0.bias']],
      [['*.bias'], ['0.bias', '2.bias']],
      [
        ['2.weight', '0.weight'],
        ['0.weight', '2.weight'],
      ],
      [['*'], ['0.weight', '0.bias', '2.weight', '2.bias']],
    ] as const) {
      const kept = indices([...names]);
      using part = derived((a) => a.submatrix(patterns));
      const dense = matrix(kept.length, kept.length, (i, k) => element(a, kept[i]!, kept[k]!));
      expect(part.shape).toEqual(dense.shape);
      expect(part.symmetric).toBe(true);
      expect(relativeError(part.toDenseSync().data, dense.data)).toBeLessThan(1e-12);
      expect(relativeError(part.diagonalSync(), diagonalOf(dense))).toBeLessThan(1e-12);
      using j = jacobianSync(problem);
      using columns = j.submatrix(patterns);
      const whole = j.toDenseSync();
      const cut = matrix(u.length, kept.length, (i, k) => element(whole, i, kept[k]!));
      expect(relativeError(columns.toDenseSync().data, cut.data)).toBeLessThan(1e-12);
      expect(relativeError(columns.rmatvecSync(u), apply(transpose(cut), u))).toBeLessThan(1e-12);
    }
  });

  it('operators of a linearization share it, and outlive its dispose', async () => {
    const lin = linearizeSync(problem, { chunkSize: 2 });
    using gram = await gramian(lin);
    using j = jacobianSync(lin);
    using kernel = await ntk(lin, { center: true });
    expect(gram.bytes + j.bytes).toBeLessThan(3 * lin.bytes);
    lin.dispose();
    expect(relativeError(gram.matvecSync(v), each.jtjv)).toBeLessThan(1e-10);
    expect(relativeError(await j.matvec(v), each.jv)).toBeLessThan(1e-10);
    using direct = ntkSync(problem, { center: true });
    expect(relativeError(await kernel.matvec(u), direct.matvecSync(u))).toBeLessThan(1e-12);
    expect(() => gramianSync(lin)).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  });
});

it('takes vectors as records and as tensors', () => {
  using gram = gramianSync(problem);
  using j = jacobianSync(problem);
  const byName = Object.fromEntries(Object.entries(model.unflatten(v)).reverse());
  expect(gram.matvecSync(byName)).toEqual(gram.matvecSync(v));
  expect(j.matvecSync(byName)).toEqual(j.matvecSync(v));
  expect(j.rmatvecSync({ data: u, shape: [rows, outputs] })).toEqual(j.rmatvecSync(u));
});

it('gives the loss and its gradient from a promise as on the calling thread', async () => {
  const expected = lossAndGradientSync(problem);
  expect(await lossAndGradient(problem)).toEqual(expected);
  expect(await lossAndGradient(problem, { threads: 1, chunkSize: 100 })).toEqual(expected);
});

it('takes classes as either kind of integer, and leaves out those that are to be ignored', () => {
  const target = { data: BigInt64Array.from([...problem.target.data].map((c) => BigInt(c))), shape: [rows] };
  expect(lossAndGradientSync({ ...problem, target })).toEqual(lossAndGradientSync(problem));
  // PyTorch leaves out rows of class -100, and divides a mean by the number of the others.
  const ignoring = {
    ...problem,
    target: { data: Int32Array.from(problem.target.data as Int32Array), shape: [rows] },
  };
  ignoring.target.data[1] = -100;
  const counted = [0, 2, 3, 4].map((n) => rowOf(problem, n));
  const expected = counted
    .map((row) => lossAndGradientSync(row).loss)
    .reduce((sum, each) => sum + each / 4, 0);
  expect(lossAndGradientSync(ignoring).loss).toBeCloseTo(expected, 12);
  for (const make of [hessianSync, gaussNewtonSync]) {
    using op = make(ignoring, { chunkSize: 2 });
    const parts = counted.map((row) => {
      using one = make(row);
      return one.matvecSync(v);
    });
    expect(
      relativeError(
        op.matvecSync(v),
        v.map((_, i) => parts.reduce((sum, part) => sum + part[i]! / 4, 0)),
      ),
    ).toBeLessThan(1e-12);
  }
});

it('finds out what gives other numbers each time', async () => {
  let calls = 0;
  using moody = customOperator({
    shape: [3, 3],
    dtype: 'float64',
    matmat: (vectors) => vectors.map((each) => each + calls++),
  });
  expect(await checkDeterministic(moody)).toBe(false);
  using steady = diagonalOperator(Float32Array.of(1, 2, 3));
  expect(await checkDeterministic(steady)).toBe(true);
});

describe('matrices that exist', () => {
  const dense = matrix(2, 3, (i, j) => i + 2 * j - 1);

  it('are operators, copied', async () => {
    const data = dense.data.slice();
    using op = denseOperator({ data, shape: [2, 3] });
    data.fill(0);
    expect(op.shape).toEqual([2, 3]);
    expect(op.symmetric).toBe(false);
    expect(op.toDenseSync()).toEqual({ data: dense.data, shape: [2, 3] });
    expect(await op.matvec(Float64Array.of(1, 10, 100))).toEqual(apply(dense, Float64Array.of(1, 10, 100)));
    expect(await op.rmatvec(Float64Array.of(1, 10))).toEqual(apply(transpose(dense), Float64Array.of(1, 10)));
    using single = denseOperator({ data: Float32Array.of(3), shape: [1, 1] }, { symmetric: true });
    expect(single.dtype).toBe('float32');
    expect(single.symmetric).toBe(true);
  });

  it('are diagonal', () => {
    const d = Float64Array.of(2, -1, 0);
    using op = diagonalOperator(d);
    d.fill(7);
    expect(op.symmetric).toBe(true);
    expect(op.toDenseSync()).toEqual({ data: Float64Array.of(2, 0, 0, 0, -1, 0, 0, 0, 0), shape: [3, 3] });
    expect(op.diagonalSync()).toEqual(Float64Array.of(2, -1, 0));
    expect(op.rmatvecSync(Float64Array.of(1, 1, 1))).toEqual(Float64Array.of(2, -1, 0));
  });
});

describe('bad input', () => {
  const other = { ...problem, loss: 'mse' as const, target: tensorOf(each.y) };
  const withTarget = (data: Int32Array | Float64Array | Float32Array, shape: number[]) => ({
    ...problem,
    target: { data, shape },
  });
  const gram = gramianSync(problem);
  const j = jacobianSync(problem);

  it.each<[string, () => unknown, string, RegExp]>([
    [
      'no target',
      () => hessianSync({ ...problem, target: undefined as never }),
      'ERR_INVALID_ARGUMENT',
      /target/,
    ],
    [
      'no loss',
      () => gaussNewtonSync({ ...problem, loss: undefined as never }),
      'ERR_INVALID_ARGUMENT',
      /loss/,
    ],
    [
      'an unknown loss',
      () => fisherSync({ ...problem, loss: 'hinge' as never }),
      'ERR_INVALID_ARGUMENT',
      /problem.loss .*'hinge'/,
    ],
    [
      'an unknown reduction',
      () => hessianSync({ ...problem, reduction: 'none' as never }),
      'ERR_INVALID_ARGUMENT',
      /problem.reduction .*'none'/,
    ],
    [
      'a class that does not exist',
      () => gaussNewtonSync(withTarget(Int32Array.of(0, 1, 3, 0, 0), [rows])),
      'ERR_INVALID_ARGUMENT',
      /class 3, .* 0 to 2/,
    ],
    [
      'a negative class',
      () => lossAndGradientSync(withTarget(Int32Array.of(0, 1, -1, 0, 0), [rows])),
      'ERR_INVALID_ARGUMENT',
      /class -1/,
    ],
    [
      'classes of too few rows',
      () => gaussNewtonSync(withTarget(Int32Array.of(0, 1), [2])),
      'ERR_SHAPE_MISMATCH',
      /target .*\[5\].*\[2\]/,
    ],
    [
      'classes that are no integers',
      () => gaussNewtonSync(withTarget(new Float64Array(rows), [rows])),
      'ERR_DTYPE_MISMATCH',
      /class indices/,
    ],
    [
      'targets of another shape',
      () => hessianSync({ ...other, target: { data: new Float64Array(rows), shape: [rows] } }),
      'ERR_SHAPE_MISMATCH',
      /\[5, 3\], got \[5\]/,
    ],
    [
      'targets of the other precision',
      () =>
        empiricalFisherSync({
          ...other,
          target: { data: new Float32Array(u.length), shape: [rows, outputs] },
        }),
      'ERR_DTYPE_MISMATCH',
      /problem.target should be float64/,
    ],
    [
      'integers for targets',
      () =>
        empiricalFisherSync({ ...other, target: { data: new Int32Array(u.length), shape: [rows, outputs] } }),
      'ERR_DTYPE_MISMATCH',
      /target/,
    ],
    [
      'a loss that does not fit the outputs',
      () => {
        // Of a single output per row, [N], there are no classes.
        const seed = caseOf('seed, small');
        return gaussNewtonSync({
          ...problemOf(seed),
          loss: 'cross_entropy',
          target: { data: new Int32Array(7), shape: [7] },
        });
      },
      'ERR_SHAPE_MISMATCH',
      /cross_entropy needs an output of shape \[N, C/,
    ],
    [
      'too few weights',
      () => gramianSync(problem, { weights: new Float64Array(2) }),
      'ERR_SHAPE_MISMATCH',
      /weights should have 5/,
    ],
    [
      'weights of the other precision',
      () => gramianSync(problem, { weights: new Float32Array(5) }),
      'ERR_DTYPE_MISMATCH',
      /weights/,
    ],
    [
      'negative weights',
      () => gramianSync(problem, { weights: Float64Array.of(1, 1, -1, 1, 1) }),
      'ERR_INVALID_ARGUMENT',
      /weights should be finite and not negative/,
    ],
    [
      'a center that is no yes or no',
      () => ntkSync(problem, { center: 1 as never }),
      'ERR_INVALID_ARGUMENT',
      /center/,
    ],
    ['no draws', () => fisherSync(problem, { mcSamples: 0 }), 'ERR_INVALID_ARGUMENT', /mcSamples/],
    ['a negative seed', () => fisherSync(problem, { seed: -1 }), 'ERR_INVALID_ARGUMENT', /seed/],
    ['no problem', () => hessianSync(null as never), 'ERR_INVALID_ARGUMENT', /problem/],
    [
      'a short vector',
      () => gram.matvecSync(v.subarray(1)),
      'ERR_SHAPE_MISMATCH',
      /v should have 52 elements, got 51/,
    ],
    [
      'a vector of the other precision',
      () => gram.matvecSync(toFloat32(v)),
      'ERR_DTYPE_MISMATCH',
      /v should be float64/,
    ],
    [
      'a cotangent of another shape',
      () => j.rmatvecSync({ data: u, shape: [outputs, rows] }),
      'ERR_SHAPE_MISMATCH',
      /u should have the shape \[5, 3\]/,
    ],
    ['too many vectors', () => gram.matmatSync(v, 2), 'ERR_SHAPE_MISMATCH', /vectors should have/],
    ['half a vector', () => gram.matmatSync(v, 0.5), 'ERR_INVALID_ARGUMENT', /k should be/],
    ['the sum of different shapes', () => gram.add(j), 'ERR_SHAPE_MISMATCH', /shape/],
    [
      'the sum with a number',
      () => gram.add(1 as never),
      'ERR_INVALID_ARGUMENT',
      /other should be a LinearOperator/,
    ],
    ['the product of shapes that do not fit', () => gram.multiply(j), 'ERR_SHAPE_MISMATCH', /./],
    [
      'the sum of two precisions',
      () => gram.add(diagonalOperator(new Float32Array(P))),
      'ERR_DTYPE_MISMATCH',
      /./,
    ],
    ['NaN times an operator', () => gram.scale(Number.NaN), 'ERR_INVALID_ARGUMENT', /c should be finite/],
    ['damping by a word', () => gram.damp('1' as never), 'ERR_INVALID_ARGUMENT', /lambda should be a number/],
    ['damping of what is not square', () => j.damp(1), 'ERR_SHAPE_MISMATCH', /square/],
    [
      'a pattern that nothing matches',
      () => gram.submatrix(['3.*']),
      'ERR_INVALID_ARGUMENT',
      /no parameter matches '3\.\*'.*0\.weight/,
    ],
    [
      'a pattern whose dot is a letter',
      () => gram.submatrix(['0xweight']),
      'ERR_INVALID_ARGUMENT',
      /no parameter/,
    ],
    [
      'a pattern for a list',
      () => gram.submatrix('0.*' as never),
      'ERR_INVALID_ARGUMENT',
      /should be a list/,
    ],
    [
      'names of what has none',
      () => diagonalOperator(v).submatrix(['*']),
      'ERR_INVALID_ARGUMENT',
      /parameters of a model/,
    ],
    [
      'a matrix of one axis',
      () => denseOperator({ data: v, shape: [P] }),
      'ERR_INVALID_ARGUMENT',
      /two axes/,
    ],
    [
      'a matrix that does not fill its shape',
      () => denseOperator({ data: v, shape: [P, 2] }),
      'ERR_SHAPE_MISMATCH',
      /./,
    ],
    [
      'a matrix of integers',
      () => denseOperator({ data: new Int32Array(4) as never, shape: [2, 2] }),
      'ERR_DTYPE_MISMATCH',
      /matrix.data/,
    ],
    [
      'a symmetric matrix that is not square',
      () => denseOperator({ data: new Float64Array(6), shape: [2, 3] }, { symmetric: true }),
      'ERR_INVALID_ARGUMENT',
      /square/,
    ],
    ['no diagonal', () => diagonalOperator(undefined as never), 'ERR_INVALID_ARGUMENT', /diagonal/],
    [
      'a dense matrix that would not fit',
      () => diagonalOperator(new Float32Array(2 ** 24)).toDenseSync(),
      'ERR_OUT_OF_MEMORY',
      /./,
    ],
  ])('%s', (_, call, code, message) => {
    expect(call).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });

  it('rejects where it would throw', async () => {
    const badClass = withTarget(Int32Array.of(0, 1, 3, 0, 0), [rows]);
    const expected = expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT' });
    await expect(gaussNewton(badClass)).rejects.toThrow(expected);
    await expect(hessian(badClass)).rejects.toThrow(expected);
    await expect(lossAndGradient(badClass)).rejects.toThrow(expected);
    await expect(checkDeterministic(null as never)).rejects.toThrow(expected);
    await expect(gram.dampRelative(Number.NaN)).rejects.toThrow(expected);
  });

  it('lets NaN in the data through', () => {
    const data = Float64Array.from(problem.x.data as Float64Array);
    data[0] = Number.NaN;
    for (const make of [gramianSync, gaussNewtonSync, hessianSync, empiricalFisherSync, fisherSync]) {
      using op = make({ ...problem, x: { data, shape: problem.x.shape } });
      expect(op.matvecSync(v).some(Number.isNaN)).toBe(true);
    }
  });
});
