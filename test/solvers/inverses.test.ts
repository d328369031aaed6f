/** Inverses, determinants and estimators against dense linear algebra; standard errors that cover the truth as often as they say. */
import { describe, expect, it } from 'vitest';
import {
  cg,
  cgInverse,
  cgSync,
  denseOperator,
  diagonalOperator,
  eigshSync,
  gramianSync,
  jacobianSync,
  logdet,
  logdetSync,
  lsmr,
  lsmrSync,
  lsqr,
  lsqrSync,
  Model,
  minresInverse,
  neumannInverse,
  nn,
  squaredFrobeniusNormSync,
  traceSync,
  xdiagSync,
  xtraceSync,
} from '../../lib/index.ts';
import { byCounts } from '../support/counts.ts';
import {
  apply,
  diagonalOf,
  eigenvalues,
  element,
  matrix,
  solve,
  times,
  traceOf,
  transpose,
} from '../support/dense.ts';
import { relativeError, vector } from '../support/models.ts';

const n = 24;
const noise = vector(n * n, 9);
const square = matrix(n, n, (i, j) => noise[i * n + j]!);
const gram = times(square, transpose(square));
const positive = matrix(n, n, (i, j) => element(gram, i, j) / n + Number(i === j));
const indefinite = matrix(n, n, (i, j) =>
  i === j ? (-1) ** i * (3 + i / n) : element(gram, i, j) / (9 * n),
);
const op = denseOperator(positive, { symmetric: true });
const code = (code: string) => expect.objectContaining({ code });

/** [k, n] */
const several = (k: number) => vector(k * n, 5);

describe.each([
  { name: 'cgInverse', make: () => cgInverse(op, { tolerance: 1e-12 }), of: positive },
  {
    name: 'cgInverse, preconditioned',
    make: () => cgInverse(op, { tolerance: 1e-12, preconditioner: diagonalOf(positive).map((d) => 1 / d) }),
    of: positive,
  },
  {
    name: 'minresInverse',
    make: () => minresInverse(denseOperator(indefinite, { symmetric: true }), { tolerance: 1e-12 }),
    of: indefinite,
  },
  { name: 'neumannInverse', make: () => neumannInverse(op, { terms: 1000 }), of: positive },
])('$name', ({ make, of }) => {
  it('is the inverse, in every product', async () => {
    using inverse = make();
    expect(inverse).toMatchObject({ kind: 'inverse', shape: [n, n], symmetric: true, dtype: 'float64' });
    const b = vector(n, 3);
    expect(relativeError(await inverse.matvec(b), solve(of, b))).toBeLessThan(1e-9);
    expect(relativeError(inverse.rmatvecSync(b), solve(of, b))).toBeLessThan(1e-9);
    const vectors = several(3);
    const expected = [0, 1, 2].flatMap((i) => Array.from(solve(of, vectors.slice(i * n, (i + 1) * n))));
    expect(relativeError(inverse.matmatSync(vectors, 3), expected)).toBeLessThan(1e-9);
    const dense = inverse.toDenseSync();
    const identity = times(of, dense);
    expect(relativeError(identity.data, matrix(n, n, (i, j) => Number(i === j)).data)).toBeLessThan(1e-8);
    using twice = inverse.multiply(denseOperator(of, { symmetric: true }));
    expect(relativeError(twice.matvecSync(b), b)).toBeLessThan(1e-8);
  });
});

describe('an inverse', () => {
  it('fails where it is none, unless it may be rough', () => {
    const few = { tolerance: 1e-12, maxIterations: 2 };
    using strict = cgInverse(op, few);
    expect(() => strict.matvecSync(vector(n, 3))).toThrow(code('ERR_NO_CONVERGENCE'));
    using rough = cgInverse(op, { ...few, strict: false });
    expect(rough.matvecSync(vector(n, 3))).toEqual(cgSync(op, vector(n, 3), few).x);
    using wrong = cgInverse(op.scale(-1));
    expect(() => wrong.matvecSync(vector(n, 3))).toThrow(code('ERR_NO_CONVERGENCE'));
    using grows = neumannInverse(op, { scale: 10 });
    expect(() => grows.matvecSync(vector(n, 3))).toThrow(code('ERR_NO_CONVERGENCE'));
    expect(() => grows.matvecSync(vector(n, 3))).toThrow('the Neumann series grows');
    using none = neumannInverse(op.scale(0).add(denseOperator(matrix(n, n, () => Number.NaN))));
    expect(() => none.matvecSync(vector(n, 3))).toThrow('a product with the operator gave NaN or infinity');
  });

  it('of Neumann has its terms, and their scale', () => {
    using inverse = neumannInverse(op, { terms: 3, scale: 0.1 });
    const b = vector(n, 3);
    const rest = (v: Float64Array) => apply(positive, v).map((each, i) => v[i]! - 0.1 * each);
    const expected = b.map((each, i) => 0.1 * (each + rest(b)[i]! + rest(rest(b))[i]!));
    expect(relativeError(inverse.matvecSync(b), expected)).toBeLessThan(1e-13);
  });

  it('preconditions a solver, and refuses what does not fit', async () => {
    using inverse = cgInverse(op, { tolerance: 1e-10 });
    expect((await cg(op, vector(n, 3), { preconditioner: inverse })).iterations).toBeLessThanOrEqual(2);
    const wide = denseOperator(matrix(2, 3, () => 1));
    for (const make of [cgInverse, minresInverse, neumannInverse]) {
      expect(() => make(wide)).toThrow(code('ERR_SHAPE_MISMATCH'));
      expect(() => make(7 as never)).toThrow(TypeError);
    }
    expect(() => cgInverse(op, { tolerance: -1 })).toThrow(RangeError);
    expect(() => cgInverse(op, { strict: 1 } as object)).toThrow(TypeError);
    expect(() => neumannInverse(op, { terms: 0 })).toThrow(RangeError);
    expect(() => neumannInverse(op, { scale: 0 })).toThrow(RangeError);
  });
});

describe('cg with a block', () => {
  it('takes a preconditioner, of any condition, and right-hand sides that depend on one another', () => {
    const k = 4;
    const b = Float64Array.from([...several(3), ...several(1)]);
    for (const inverse of [cgInverse(op, { tolerance: 1e-3, strict: false }), cgInverse(op)]) {
      const { converged, iterations } = cgSync(op, b, {
        k,
        block: true,
        preconditioner: inverse,
        tolerance: 1e-10,
      });
      expect(converged).toBe(true);
      expect(iterations).toBeLessThan(cgSync(op, b, { k, block: true, tolerance: 1e-10 }).iterations);
    }
    const steep = Float64Array.from({ length: n }, (_, i) => 10 ** (-i / 3));
    const { x, converged } = cgSync(op, b, { k, block: true, preconditioner: steep, tolerance: 1e-9 });
    expect(converged).toBe(true);
    for (let i = 0; i < k; i++) {
      const expected = solve(positive, b.slice(i * n, (i + 1) * n));
      expect(relativeError(x.subarray(i * n, (i + 1) * n), expected)).toBeLessThan(1e-7);
    }
  });

  it.each([1, 2, 8, n, n + 3])('solves for %i right-hand sides', (k) => {
    const b = several(k);
    const { x, records } = cgSync(op, b, { k, block: true, tolerance: 1e-11 });
    expect(records).toHaveLength(k);
    for (let i = 0; i < k; i++) {
      const part = b.slice(i * n, (i + 1) * n);
      expect(relativeError(x.subarray(i * n, (i + 1) * n), solve(positive, part))).toBeLessThan(1e-9);
      expect(records[i]).toMatchObject({ converged: true, reason: 'converged' });
    }
    const alone = cgSync(op, b, { k, tolerance: 1e-11 });
    if (k > 1 && k <= n) expect(records[0]!.iterations).toBeLessThan(alone.iterations);
  });

  it('takes right-hand sides that depend on one another, are zero, or of any size', () => {
    const b = vector(n, 3);
    const rows = [
      b,
      b.map((each) => 2 * each),
      new Float64Array(n),
      b.map((each) => 1e-9 * each),
      vector(n, 4),
    ];
    const k = rows.length;
    const { x, converged } = cgSync(op, Float64Array.from(rows.flatMap((row) => Array.from(row))), {
      k,
      block: true,
      tolerance: 1e-10,
    });
    expect(converged).toBe(true);
    rows.forEach((row, i) => {
      const found = x.subarray(i * n, (i + 1) * n);
      if (i === 2) expect(found).toEqual(new Float64Array(n));
      else expect(relativeError(found, solve(positive, row))).toBeLessThan(1e-8);
    });
  });

  it('says why it ended', () => {
    const b = several(3);
    const wrong = denseOperator(indefinite, { symmetric: true });
    expect(cgSync(wrong, b, { k: 3, block: true }).reason).toBe('indefinite');
    expect(cgSync(op, b, { k: 3, block: true, maxIterations: 1 })).toMatchObject({
      reason: 'maxIterations',
      iterations: 1,
    });
    expect(cgSync(op, b, { k: 3, block: true, onIteration: () => false }).reason).toBe('stopped');
    expect(
      cgSync(
        op,
        b.map(() => Number.NaN),
        { k: 3, block: true },
      ).reason,
    ).toBe('nan');
    const x0 = b.map(() => 1);
    expect(cgSync(op, b, { k: 3, block: true, maxIterations: 0, x0 }).x).toEqual(x0);
    const negative = vector(n, 3).map((each) => -Math.abs(each) - 1);
    for (const preconditioner of [negative, wrong, new Float64Array(n)])
      expect(cgSync(op, b, { k: 3, block: true, preconditioner }).reason).toBe('preconditioner');
    const holes = negative.map((each, i) => (i === 3 ? Number.NaN : -each));
    expect(cgSync(op, b, { k: 3, block: true, preconditioner: holes }).reason).toBe('nan');
    expect(() => cgSync(op, b, { k: 3, block: 1 } as object)).toThrow(TypeError);
  });
});

describe('eigsh with blocks', () => {
  const size = 120;
  const values = Float64Array.from({ length: size }, (_, i) => (i < 6 ? 10 : i < 9 ? 7 : 1 + i / size));
  // Q diag(values) Qᵀ, with Householder's Q.
  const u = vector(size, 2);
  const norm = u.reduce((sum, each) => sum + each * each, 0);
  const q = matrix(size, size, (i, j) => Number(i === j) - (2 * u[i]! * u[j]!) / norm);
  const dense = times(
    q,
    times(
      matrix(size, size, (i, j) => (i === j ? values[i]! : 0)),
      q,
    ),
  );

  it.each([1, 2, 4, 8])('finds repeated eigenvalues, %i vectors at a time', (block) => {
    const op = denseOperator(dense, { symmetric: true });
    for (const [which, expected] of [
      ['LA', [7, 7, 10, 10, 10, 10, 10, 10]],
      ['SA', values.slice(9, 17)],
    ] as const) {
      const found = eigshSync(op, { k: 8, which, block });
      expect(found).toMatchObject({ converged: true, reason: 'converged' });
      expect(relativeError(found.eigenvalues, expected)).toBeLessThan(1e-11);
      for (const each of found.residualNorms) expect(each).toBeLessThan(1e-10);
    }
    expect(eigshSync(op, { k: 8, block })).toEqual(eigshSync(op, { k: 8, block }));
  });

  it('says that it did not get there', () => {
    const op = denseOperator(dense, { symmetric: true });
    expect(eigshSync(op, { k: 8, which: 'SA', block: 4, maxIterations: 20 })).toMatchObject({
      converged: false,
      reason: 'maxIterations',
    });
    expect(() => eigshSync(op, { block: 0 })).toThrow(RangeError);
    expect(() => eigshSync(op, { sigma: Number.NaN })).toThrow(RangeError);
    // An eigenvalue itself has no inverse.
    const diagonal = diagonalOperator(Float64Array.from({ length: 90 }, (_, i) => i));
    expect(() => eigshSync(diagonal, { sigma: 7 })).toThrow(code('ERR_NO_CONVERGENCE'));
    expect(Array.from(eigshSync(diagonal, { sigma: 7.1, k: 3 }).eigenvalues, Math.round)).toEqual([6, 7, 8]);
  });
});

describe('estimates', () => {
  const decay = matrix(n, n, (i, j) => {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += element(square, i, k) * element(square, j, k) * 0.5 ** k;
    return sum;
  });
  const wide = matrix(9, n, (i, j) => element(square, i, j));
  const log = eigenvalues(positive).reduce((sum, each) => sum + Math.log(each), 0);
  const CASES = [
    {
      name: 'xtrace',
      truth: traceOf(decay),
      of: (seed: number) => xtraceSync(denseOperator(decay), { samples: 12, seed }),
    },
    {
      name: 'xtrace of an asymmetric one',
      truth: traceOf(square),
      of: (seed: number) => xtraceSync(denseOperator(square), { samples: 24, seed }),
    },
    { name: 'logdet', truth: log, of: (seed: number) => logdetSync(op, { probes: 12, steps: n, seed }) },
    {
      name: 'the squared Frobenius norm',
      truth: wide.data.reduce((sum, each) => sum + each * each, 0),
      of: (seed: number) => squaredFrobeniusNormSync(denseOperator(wide), { samples: 20, seed }),
    },
  ];

  it.each(CASES)('of $name cover the truth as often as their standard error says', ({ truth, of }) => {
    const trials = byCounts(100, 300);
    let [covered, sum, squares] = [0, 0, 0];
    for (let seed = 0; seed < trials; seed++) {
      const { estimate, standardError } = of(seed);
      if (Math.abs(estimate - truth) <= 2 * standardError) covered++;
      sum += estimate - truth;
      squares += (estimate - truth) ** 2;
    }
    // Two standard errors are 95 % of a normal distribution; of the six estimates of xtrace, which share a basis, less.
    expect(covered / trials).toBeGreaterThan(0.75);
    expect(covered / trials).toBeLessThan(0.998);
    expect(Math.abs(sum / trials)).toBeLessThan((4 * Math.sqrt(squares)) / trials);
    expect(of(7)).toEqual(of(7));
    expect(of(7)).not.toEqual(of(8));
  });

  it('xtrace is closer than Hutchinson where eigenvalues decay', () => {
    const errors = [xtraceSync, traceSync].map((estimate) => {
      let sum = 0;
      for (let seed = 0; seed < 50; seed++)
        sum += (estimate(denseOperator(decay), { samples: 16, seed }).estimate - traceOf(decay)) ** 2;
      return Math.sqrt(sum);
    });
    expect(errors[0]! / errors[1]!).toBeLessThan(0.2);
  });

  it('xdiag averages to the diagonal, and is exact for few dimensions', () => {
    for (const a of [decay, square]) {
      const mean = new Float64Array(n);
      const [trials, truth] = [400, diagonalOf(a)];
      const spread = new Float64Array(n);
      for (let seed = 0; seed < trials; seed++) {
        const { diagonal } = xdiagSync(denseOperator(a), { samples: 12, seed });
        diagonal.forEach((each, i) => {
          mean[i]! += each / trials;
          spread[i]! += (each - truth[i]!) ** 2 / trials;
        });
      }
      for (const [i, each] of mean.entries())
        expect(Math.abs(each - truth[i]!)).toBeLessThan(4.5 * Math.sqrt(spread[i]! / trials) + 1e-12);
    }
    const low = matrix(
      n,
      n,
      (i, j) => element(square, i, 0) * element(square, j, 1) + element(square, i, 2) * element(square, j, 3),
    );
    expect(
      relativeError(xdiagSync(denseOperator(low), { samples: 8 }).diagonal, diagonalOf(low)),
    ).toBeLessThan(1e-10);
    expect(xtraceSync(denseOperator(low), { samples: 8 }).estimate).toBeCloseTo(traceOf(low), 9);
    expect(xtraceSync(denseOperator(square), { samples: 2 * n })).toMatchObject({ standardError: 0 });
  });

  it('of a determinant of many blocks is exact', () => {
    const size = 600;
    const u = vector(size, 2);
    // I + u uᵀ has the determinant 1 + uᵀu.
    const a = matrix(size, size, (i, j) => Number(i === j) + u[i]! * u[j]!);
    const { estimate } = logdetSync(denseOperator(a, { symmetric: true }), { method: 'exact' });
    expect(estimate).toBeCloseTo(Math.log(1 + u.reduce((sum, each) => sum + each * each, 0)), 10);
  });

  it('refuse what has none', async () => {
    expect(() => logdetSync(denseOperator(indefinite, { symmetric: true }))).toThrow(RangeError);
    await expect(logdet(denseOperator(indefinite, { symmetric: true }), { method: 'exact' })).rejects.toThrow(
      'damp it',
    );
    expect(() => logdetSync(denseOperator(square))).toThrow(RangeError);
    expect(() => logdetSync(op, { method: 'lu' } as object)).toThrow("'slq', 'exact'");
    expect(() => logdetSync(denseOperator(wide))).toThrow(code('ERR_SHAPE_MISMATCH'));
    expect(() => xtraceSync(op, { samples: 3 })).toThrow(RangeError);
    expect(() => xdiagSync(denseOperator(wide))).toThrow(code('ERR_SHAPE_MISMATCH'));
    expect(() => squaredFrobeniusNormSync(op, { samples: 0 })).toThrow(RangeError);
    const nothing = diagonalOperator(new Float64Array(0));
    expect(logdetSync(nothing).estimate).toBe(0);
    expect(xtraceSync(nothing).estimate).toBe(0);
    const nan = diagonalOperator(new Float64Array(n).fill(Number.NaN));
    for (const of of [logdetSync, xtraceSync, squaredFrobeniusNormSync]) expect(of(nan).estimate).toBeNaN();
  });
});

describe.each([
  ['lsmr', lsmr, lsmrSync],
  ['lsqr', lsqr, lsqrSync],
] as const)('%s', (_, solve, solveSync) => {
  const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]);
  const params = model.init({ seed: 1, dtype: 'float64' });
  const x = { data: vector(30, 1), shape: [10, 3] };

  it('solves the least-squares problem of a Jacobian, as cg does its normal equations', async () => {
    using J = jacobianSync({ model, params, x });
    using F = gramianSync({ model, params, x });
    const u = vector(20, 4);
    const found = await solve(
      J,
      { data: u, shape: [10, 2] },
      { damp: 0.1, atol: 1e-12, btol: 1e-12, maxIterations: 200 },
    );
    const normal = cgSync(F.damp(0.01), J.rmatvecSync(u) as Float64Array, { tolerance: 1e-13 });
    expect(relativeError(found.x, normal.x)).toBeLessThan(1e-8);
    expect(found).toMatchObject({ converged: true, reason: 'leastSquares', message: '' });
  });

  it('in float32, to its precision', () => {
    const a = matrix(8, 5, (i, j) => element(square, i, j));
    const b = vector(8, 2);
    const single = denseOperator({ data: Float32Array.from(a.data), shape: [8, 5] });
    const double = solveSync(denseOperator(a), b, { atol: 1e-12, btol: 1e-12 });
    expect(relativeError(solveSync(single, Float32Array.from(b)).x, double.x)).toBeLessThan(1e-4);
  });

  it('ends as it says', async () => {
    const a = denseOperator(matrix(8, 5, (i, j) => element(square, i, j)));
    const b = vector(8, 2);
    const heard: number[] = [];
    solveSync(a, b, { onIteration: ({ residualNorm }) => void heard.push(residualNorm) });
    for (let i = 1; i < heard.length; i++) expect(heard[i]).toBeLessThanOrEqual(heard[i - 1]! + 1e-12);
    expect(heard).toHaveLength(solveSync(a, b).iterations);
    expect(solveSync(a, b, { onIteration: () => false })).toMatchObject({ reason: 'stopped', iterations: 1 });
    expect(solveSync(a, b, { conlim: 1.01 }).reason).toBe('condition');
    expect(solveSync(a, new Float64Array(8)).x).toEqual(new Float64Array(5));
    const tiny = { atol: 1e-14, btol: 1e-14, maxIterations: 50 };
    const x0 = vector(5, 7);
    expect(solveSync(a, new Float64Array(8), { x0 }).x).toEqual(new Float64Array(5));
    // Damped, the start pulls: (AᵀA + λ²) x = λ² x0.
    const pulled = solveSync(a, new Float64Array(8), { x0, damp: 0.5, ...tiny });
    expect(pulled.normalResidualNorm).toBeLessThan(1e-12);
    expect(Math.hypot(...pulled.x)).toBeGreaterThan(1e-3);
    expect(
      solveSync(
        a,
        b.map(() => Number.NaN),
      ).reason,
    ).toBe('nan');
    expect(() => solveSync(a, vector(5, 2))).toThrow(code('ERR_SHAPE_MISMATCH'));
    expect(() => solveSync(a, b, { x0: b })).toThrow(code('ERR_SHAPE_MISMATCH'));
    expect(() => solveSync(a, b, { atol: -1 })).toThrow(RangeError);
    const controller = new AbortController();
    controller.abort('no');
    await expect(solve(a, b, { signal: controller.signal })).rejects.toBe('no');
  });
});
