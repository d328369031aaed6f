/** Solvers where numbers or problems are extreme: sizes at the ends of the precision, singular systems, repeated eigenvalues. */
import { describe, expect, it } from 'vitest';
import {
  cg,
  cgSync,
  customOperator,
  denseOperator,
  diagonalOperator,
  diagonalSync,
  eigsh,
  eigshSync,
  type FloatArray,
  jacobianSync,
  type LinearOperator,
  type LinearSolverOptions,
  lsmrSync,
  lsqrSync,
  minres,
  minresSync,
  type SolverProgress,
  spectralDensity,
  spectralDensitySync,
  trace,
  traceSync,
} from '../../lib/index.ts';
import { apply, matrix } from '../support/dense.ts';
import { modelOf, relativeError, vector } from '../support/models.ts';

const KINDS = { float32: Float32Array, float64: Float64Array } as const;
type Kind = keyof typeof KINDS;

function of(kind: Kind, values: ArrayLike<number>): FloatArray {
  return KINDS[kind].from(values);
}
const fill = (n: number, at: (i: number) => number) => Float64Array.from({ length: n }, (_, i) => at(i));
const SOLVERS = [
  ['cg', cgSync],
  ['minres', minresSync],
] as const;

describe.each(SOLVERS)('%s cut short', (_, solve) => {
  // The larger the step count, the smaller the eigenvalue that it resolves.
  const n = 60;
  const values = fill(n, (i) => 10 ** ((-7 * i) / (n - 1)));
  const b = new Float64Array(n).fill(1);

  it.each(['float32', 'float64'] as const)('has made progress at every step, %s', (kind) => {
    const op = diagonalOperator(of(kind, values));
    let energy = 0;
    let size = Math.hypot(...b);
    for (const k of [1, 2, 3, 5, 8, 13, 21, 34, 55]) {
      const { x, ...record } = solve(op, of(kind, b), { maxIterations: k, tolerance: 1e-12 });
      expect(record).toMatchObject({ iterations: k, converged: false, reason: 'maxIterations' });
      const rest = x.map((each, i) => b[i]! - values[i]! * each);
      const norm = Math.hypot(...rest);
      expect(Math.abs(record.residualNorm / norm - 1)).toBeLessThan(kind === 'float64' ? 1e-9 : 1e-3);
      const before = energy;
      energy = [...x].reduce((sum, each, i) => sum + each * ((values[i]! * each) / 2 - b[i]!), 0);
      expect(energy).toBeLessThan(before);
      if (solve === minresSync) expect(norm).toBeLessThan(size);
      size = norm;
    }
  });

  it('takes no step, one, or any that it is told to', () => {
    const op = diagonalOperator(values);
    const x0 = vector(n, 4);
    const start = x0.map((each, i) => b[i]! - values[i]! * each);
    const none = solve(op, b, { x0, maxIterations: 0 });
    expect(none).toMatchObject({ iterations: 0, converged: false, reason: 'maxIterations' });
    expect(none.x).toEqual(x0);
    expect(none.x).not.toBe(x0);
    expect(none.residualNorm).toBeCloseTo(Math.hypot(...start), 12);
    expect(solve(op, b, { maxIterations: 0 }).x).toEqual(new Float64Array(n));
    const still = solve(op, new Float64Array(n), { x0, maxIterations: 0 });
    expect(still).toMatchObject({ x: x0, converged: false, reason: 'maxIterations' });
    const right = fill(n, (i) => b[i]! / values[i]!);
    expect(solve(op, b, { x0: right, maxIterations: 0 })).toMatchObject({ converged: true, iterations: 0 });
    for (const maxIterations of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
      expect(() => solve(op, b, { maxIterations })).toThrow(RangeError);
  });

  it('ends where onIteration returns false, with the iterate it reached', () => {
    const op = diagonalOperator(values);
    const heard: SolverProgress[] = [];
    const stopped = solve(op, b, {
      tolerance: 1e-12,
      onIteration(progress) {
        heard.push(progress);
        return progress.iteration < 4;
      },
    });
    expect(stopped).toMatchObject({ converged: false, reason: 'stopped', iterations: 4 });
    expect(heard.map(({ iteration }) => iteration)).toEqual([1, 2, 3, 4]);
    expect(stopped.x).toEqual(solve(op, b, { tolerance: 1e-12, maxIterations: 4 }).x);
  });
});

it.each([
  ['cg', cg],
  ['minres', minres],
] as const)('%s: a promise ends as well where onIteration returns false', async (_, solve) => {
  let calls = 0;
  const n = 400;
  using slow = customOperator({
    shape: [n, n],
    dtype: 'float64',
    symmetric: true,
    matmat: (vectors) => vectors.map((each, at) => each * (1 + (at % n))),
  });
  const { reason, iterations } = await solve(slow, vector(n, 1), {
    tolerance: 1e-12,
    onIteration: () => ++calls < 3,
  });
  expect(reason).toBe('stopped');
  expect(iterations).toBeGreaterThanOrEqual(3);
  expect(calls).toBe(3);
});

describe.each(SOLVERS)('%s of sizes at the ends of the precision', (_, solve) => {
  const n = 12;
  const diagonal = fill(n, (i) => 1 + i);
  const dense = matrix(n, n, (i, j) => (i === j ? 3 + i : 1 / (1 + i + j)));
  const b = vector(n, 2);
  const CASES: [Kind, number[]][] = [
    ['float32', [1e-30, 1e-25, 1, 1e25, 1e30]],
    ['float64', [1e-250, 1e-200, 1, 1e200, 1e250]],
  ];

  it.each(CASES)('%s', (kind, sizes) => {
    const epsilon = kind === 'float32' ? 2 ** -23 : 2 ** -52;
    const plain = solve(denseOperator(dense, { symmetric: true }), b, { tolerance: 1e-14 }).x;
    const jacobi = diagonal.map((_, i) => 1 / dense.data[i * n + i]!);
    for (const sizeOfA of sizes) {
      for (const sizeOfB of sizes) {
        for (const sizeOfM of [undefined, ...sizes]) {
          const solution = sizeOfB / sizeOfA;
          const [least, most] = kind === 'float32' ? [1e-36, 1e36] : [1e-300, 1e300];
          const fits = solution > least && solution < most;
          const options: LinearSolverOptions = { tolerance: kind === 'float32' ? 1e-5 : 1e-12 };
          if (sizeOfM !== undefined)
            options.preconditioner = of(
              kind,
              jacobi.map((each) => each * sizeOfM),
            );
          const op = denseOperator(
            {
              data: of(
                kind,
                dense.data.map((each) => each * sizeOfA),
              ),
              shape: [n, n],
            },
            { symmetric: true },
          );
          const { x, ...record } = solve(
            op,
            of(
              kind,
              b.map((each) => each * sizeOfB),
            ),
            options,
          );
          expect(x.every(Number.isFinite)).toBe(true);
          if (fits) {
            expect(record).toMatchObject({ converged: true, reason: 'converged' });
            expect(
              relativeError(
                x.map((each) => each / solution),
                plain,
              ),
            ).toBeLessThan(1e4 * epsilon);
            expect(record.residualNorm).toBeLessThanOrEqual(1e-5 * sizeOfB * Math.hypot(...b));
          } else {
            expect(record).toMatchObject({ converged: false, reason: 'range' });
          }
        }
      }
    }
  });

  it('takes the same steps at any scale', () => {
    const at = (sizeOfA: number, sizeOfB: number) =>
      solve(
        diagonalOperator(diagonal.map((each) => each * sizeOfA)),
        b.map((each) => each * sizeOfB),
        {
          maxIterations: 5,
          tolerance: 1e-14,
        },
      );
    const { x, residualNorm } = at(1, 1);
    for (const [p, q] of [
      [600, -300],
      [-500, 400],
      [-900, -900],
    ] as const) {
      const scaled = at(2 ** p, 2 ** q);
      expect(scaled.x).toEqual(x.map((each) => each * 2 ** (q - p)));
      expect(scaled.residualNorm).toBe(residualNorm * 2 ** q);
    }
  });

  it('a right-hand side of zero has the solution zero from any start', () => {
    const x0 = new Float64Array(n).fill(1);
    const { x, ...record } = solve(diagonalOperator(diagonal), new Float64Array(n), { x0 });
    expect(x).toEqual(new Float64Array(n));
    expect(record).toMatchObject({ iterations: 0, converged: true, residualNorm: 0 });
    expect(x0[0]).toBe(1);
  });

  it('a start of another size than the solution is no obstacle', () => {
    for (const size of [1e-200, 1e-30, 1e30, 1e200]) {
      const x0 = new Float64Array(n).fill(size);
      const { x, converged } = solve(diagonalOperator(diagonal), b, { x0, tolerance: 1e-10 });
      if (size <= 1e30) expect(converged).toBe(true);
      expect(x.every(Number.isFinite)).toBe(true);
      if (converged)
        expect(
          relativeError(
            x,
            fill(n, (i) => b[i]! / (1 + i)),
          ),
        ).toBeLessThan(1e-9);
    }
  });
});

describe.each(SOLVERS)('%s of a singular matrix', (method, solve) => {
  it.each(['float32', 'float64'] as const)('solves what has a solution, %s', (kind) => {
    const spectrum = of(kind, [0, 1, 2, 3, 0, 4, 5]);
    const b = of(kind, [0, 1, 1, 1, 0, 1, 1]);
    const { x, converged, iterations } = solve(diagonalOperator(spectrum), b, { tolerance: 1e-6 });
    expect(converged).toBe(true);
    expect(iterations).toBeLessThanOrEqual(6);
    expect(relativeError(x, [0, 1, 1 / 2, 1 / 3, 0, 1 / 4, 1 / 5])).toBeLessThan(1e-5);
  });

  it.each(['float32', 'float64'] as const)('says so where there is none, %s', (kind) => {
    for (const zeros of [1, 3]) {
      const n = 23;
      const spectrum = of(
        kind,
        fill(n, (i) => (i < n - zeros ? 1 + i / 10 : 0)),
      );
      const { x, ...record } = solve(diagonalOperator(spectrum), of(kind, new Float64Array(n).fill(1)), {
        tolerance: 1e-6,
      });
      expect(record.converged).toBe(false);
      expect(record.reason).toBe(method === 'cg' ? 'indefinite' : 'stagnation');
      expect(x.every(Number.isFinite)).toBe(true);
      const rest = x.map((each, i) => 1 - spectrum[i]! * each);
      expect(Math.abs(record.residualNorm - Math.hypot(...rest))).toBeLessThan(1e-3);
      // What can be solved is.
      if (method === 'minres') {
        expect(record.residualNorm).toBeCloseTo(Math.sqrt(zeros), 3);
        expect(Math.hypot(...x)).toBeLessThan(100);
      }
    }
  });

  it('says what a zero matrix is', () => {
    const { x, ...record } = solve(diagonalOperator(new Float64Array(4)), vector(4, 1));
    expect(x).toEqual(new Float64Array(4));
    expect(record).toMatchObject({ converged: false, iterations: 0 });
    expect(record.reason).toBe(method === 'cg' ? 'indefinite' : 'stagnation');
  });

  it('solves one unknown', () => {
    expect(solve(diagonalOperator(Float64Array.of(4)), Float64Array.of(2)).x).toEqual(Float64Array.of(0.5));
  });
});

describe.each([
  ['cg', cg],
  ['minres', minres],
] as const)('%s of NaN and infinity', (_, solve) => {
  const n = 6;
  const good = diagonalOperator(fill(n, (i) => 1 + i));
  const b = vector(n, 3);
  const broken = (value: number) => fill(n, (i) => (i === 2 ? value : 1));
  const after = (products: number, value: number) => {
    let calls = 0;
    return customOperator({
      shape: [n, n],
      dtype: 'float64',
      symmetric: true,
      matmat: (vectors) =>
        vectors.map((each, i) => (calls++ / n >= products && i === 1 ? value : each * (1 + i))),
    });
  };

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('ends with the reason, %s', async (value) => {
    const nan = { converged: false, reason: 'nan' };
    expect(await solve(good, broken(value))).toMatchObject({ ...nan, iterations: 0 });
    expect(await solve(good, b, { x0: broken(value) })).toMatchObject({ ...nan, iterations: 0 });
    expect(await solve(diagonalOperator(broken(value)), b)).toMatchObject(nan);
    expect(await solve(good, b, { preconditioner: broken(value) })).toMatchObject(nan);
    const later = await solve(after(2, value), b, { tolerance: 1e-10 });
    expect(later).toMatchObject(nan);
    expect(later.x.every(Number.isFinite)).toBe(true);
    const preconditioned = await solve(good, b, { preconditioner: after(2, value), tolerance: 1e-10 });
    expect(preconditioned.reason).toBe('nan');
    expect(preconditioned.x.every(Number.isFinite)).toBe(true);
  });

  it('a preconditioner that is not positive definite is told', async () => {
    for (const diagonal of [fill(n, () => -1), new Float64Array(n), fill(n, (i) => (i === 0 ? -100 : 1))]) {
      const { reason, x } = await solve(
        good,
        fill(n, (i) => 1 + 10 * Number(i === 0)),
        {
          preconditioner: diagonal,
        },
      );
      expect(reason).toBe('preconditioner');
      expect(x.every(Number.isFinite)).toBe(true);
    }
  });
});

describe('an operator that is not symmetric', () => {
  const n = 5;
  const skew = matrix(n, n, (i, j) => (i === j ? 4 : i > j ? 1 : 0));
  const b = vector(n, 1);
  const problem = () => {
    const model = modelOf({ layers: [['linear', 4, 1]] });
    return {
      model,
      params: model.init({ seed: 0 }),
      x: { data: Float32Array.from(vector(20, 2)), shape: [5, 4] },
    };
  };
  const CASES: [string, () => LinearOperator][] = [
    ['a matrix', () => denseOperator(skew)],
    ['a Jacobian that is square by chance', () => jacobianSync(problem())],
    [
      'a product',
      () =>
        diagonalOperator(fill(n, (i) => 1 + i)).multiply(
          denseOperator(
            matrix(n, n, (i, j) => 1 / (1 + i + j)),
            { symmetric: true },
          ),
        ),
    ],
    ['a sum', () => diagonalOperator(new Float64Array(n).fill(1)).add(denseOperator(skew))],
  ];

  it.each(CASES)('%s is refused, with the way out', (_, make) => {
    using op = make();
    const right = op.dtype === 'float64' ? b : Float32Array.from(b);
    for (const call of [
      () => cgSync(op, right),
      () => minresSync(op, right),
      () => eigshSync(op, { k: 2 }),
      () => spectralDensitySync(op),
    ]) {
      expect(call).toThrow(RangeError);
      expect(call).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_ARGUMENT',
          message: expect.stringMatching(/symmetric: true/),
        }),
      );
    }
    expect(Number.isFinite(traceSync(op).estimate)).toBe(true);
    expect(diagonalSync(op).diagonal.every(Number.isFinite)).toBe(true);
  });

  it('is not taken for one that only lacks the word', async () => {
    const symmetric = matrix(n, n, (i, j) => (i === j ? 4 : 1 / (1 + Math.abs(i - j))));
    for (const size of [1e-200, 1, 1e200]) {
      const op = denseOperator({ data: symmetric.data.map((each) => each * size), shape: [n, n] });
      expect(op.symmetric).toBe(false);
      expect(cgSync(op, b).converged).toBe(true);
      expect(eigshSync(op, { k: 1 }).converged).toBe(true);
    }
    using square = diagonalOperator(b).multiply(diagonalOperator(b));
    expect(
      relativeError(
        cgSync(square, b, { tolerance: 1e-12 }).x,
        b.map((each) => 1 / each),
      ),
    ).toBeLessThan(1e-9);
    using custom = customOperator({ shape: [n, n], dtype: 'float64', matmat: (v) => apply(symmetric, v) });
    expect((await minres(custom, b)).converged).toBe(true);
    using wrong = customOperator({ shape: [n, n], dtype: 'float64', matmat: (v) => apply(skew, v) });
    await expect(cg(wrong, b)).rejects.toThrow(/symmetric/);
    await expect(eigsh(wrong, { k: 1 })).rejects.toThrow(/symmetric/);
    await expect(spectralDensity(wrong)).rejects.toThrow(/symmetric/);
    expect((await trace(wrong, { samples: 4 })).products).toBe(4);
  });
});

describe('eigsh of more unknowns than its basis has', () => {
  const SPECTRA: Record<string, Float64Array> = {
    'three copies': fill(100, (i) => (i < 3 ? 10 : (9 * i) / 100)),
    'three copies of each': fill(99, (i) => Math.floor(i / 3)),
    'two values': fill(120, (i) => (i < 7 ? 5 : 1)),
    identity: fill(150, () => 1),
    zero: fill(80, () => 0),
    'low rank': fill(200, (i) => (i < 4 ? 4 - i : 0)),
    'one negative copy': fill(90, (i) => (i === 0 ? -10 : i === 1 ? 10 : i / 90)),
    'signs in pairs': fill(100, (i) => (i % 2 ? 1 : -1) * (1 + Math.floor(i / 4))),
    'a cluster': fill(120, (i) => (i < 4 ? 10 - i * 1e-7 : i / 120)),
    'far apart': fill(100, (i) => 2 ** -i),
  };
  const CASES = Object.keys(SPECTRA).flatMap((name) =>
    (['LM', 'LA', 'SA', 'BE', 'SM'] as const).map((which) => [name, which] as const),
  );

  it.each(CASES)('%s at %s', (name, which) => {
    const spectrum = SPECTRA[name]!;
    const n = spectrum.length;
    const size = Math.max(...spectrum.map(Math.abs), Number.MIN_VALUE);
    const ascending = [...spectrum].sort((x, y) => x - y);
    const magnitudes = spectrum.map(Math.abs).sort();
    for (const k of [1, 3, 8]) {
      const expected = {
        LM: [...magnitudes.slice(n - k)],
        SM: [...magnitudes.slice(0, k)],
        LA: ascending.slice(n - k),
        SA: ascending.slice(0, k),
        BE: [...ascending.slice(0, Math.floor(k / 2)), ...ascending.slice(n - Math.ceil(k / 2))],
      }[which];
      for (let seed = 0; seed < 4; seed++) {
        const { eigenvalues, ...found } = eigshSync(diagonalOperator(spectrum), { k, which, seed });
        expect(found).toMatchObject({ converged: true, reason: 'converged' });
        expect(found.iterations).toBeLessThanOrEqual(1000);
        const list =
          which === 'LM' || which === 'SM'
            ? Array.from(eigenvalues, Math.abs).sort((x, y) => x - y)
            : eigenvalues;
        expect(Math.max(...Array.from(list, (each, i) => Math.abs(each - expected[i]!))) / size).toBeLessThan(
          1e-12,
        );
        expect(Math.max(...found.residualNorms) / size).toBeLessThan(1e-12);
      }
    }
  });

  it.each([
    ['float32', 1e25, 1e-5],
    ['float32', 1e-25, 1e-5],
    ['float64', 1e200, 1e-12],
    ['float64', 1e-200, 1e-12],
  ] as const)('%s at the size %d', (kind, size, tolerance) => {
    const n = 60;
    const op = diagonalOperator(
      of(
        kind,
        fill(n, (i) => (1 + i) * size),
      ),
    );
    for (const [which, expected] of [
      ['LA', [n - 2, n - 1, n]],
      ['SA', [1, 2, 3]],
      ['BE', [1, n - 1, n]],
      ['SM', [1, 2, 3]],
    ] as const) {
      const { eigenvalues, ...found } = eigshSync(op, { k: 3, which });
      expect(found.converged).toBe(true);
      expect(
        relativeError(
          eigenvalues.map((each) => each / size),
          expected,
        ),
      ).toBeLessThan(tolerance * n);
      expect(Math.max(...found.residualNorms) / size / n).toBeLessThan(tolerance * 10);
    }
  });

  it('ends where there are more copies than were asked for, over a dense bulk', () => {
    const spectrum = fill(3000, (i) => (i < 5 ? 1.01 : i / 3000));
    for (const k of [1, 3]) {
      for (let seed = 0; seed < 3; seed++) {
        const { eigenvalues, ...found } = eigshSync(diagonalOperator(spectrum), {
          k,
          seed,
          maxIterations: 3000,
        });
        expect(found).toMatchObject({ converged: true, reason: 'converged' });
        expect(
          relativeError(
            eigenvalues,
            fill(k, () => 1.01),
          ),
        ).toBeLessThan(1e-12);
      }
    }
  });

  it('has a default for few unknowns, and memory of its own', () => {
    for (const n of [1, 2, 5, 6, 7]) {
      const found = eigshSync(diagonalOperator(fill(n, (i) => 1 + i)));
      expect(found.converged).toBe(true);
      expect(
        relativeError(
          found.eigenvalues,
          fill(Math.min(n, 6), (i) => 1 + i + Math.max(n - 6, 0)),
        ),
      ).toBeLessThan(1e-12);
      expect(
        new Set([found.eigenvalues.buffer, found.eigenvectors.buffer, found.residualNorms.buffer]).size,
      ).toBe(3);
    }
  });

  it('says at once what to use in place of SM for many unknowns', () => {
    const op = diagonalOperator(new Float64Array(3000).fill(1));
    expect(() => eigshSync(op, { k: 2, which: 'SM' })).toThrow(
      expect.objectContaining({
        code: 'ERR_UNSUPPORTED_OP',
        message: expect.stringMatching(/'SA'.*'LM' of the inverse/),
      }),
    );
  });

  it('never takes more products than it may, and claims nothing then', async () => {
    const n = 300;
    let products = 0;
    using counted = customOperator({
      shape: [n, n],
      dtype: 'float64',
      symmetric: true,
      matmat(vectors, k) {
        products += k;
        return vectors.map((each, at) => each * Math.sqrt(1 + (at % n)));
      },
    });
    for (const which of ['LM', 'SA', 'SM', 'BE'] as const) {
      for (const maxIterations of [1, 7, 40, 130]) {
        products = 0;
        const found = await eigsh(counted, { k: 4, which, maxIterations });
        expect(products).toBe(found.iterations);
        expect(products).toBeLessThanOrEqual(maxIterations);
        if (!found.converged) expect(found).toMatchObject({ reason: 'maxIterations' });
        if (which === 'SM') expect(found.converged).toBe(false);
      }
    }
  });
});

describe('estimators', () => {
  const n = 8;
  const a = matrix(n, n, (i, j) => (i === j ? 2 + i : 1 / (1 + i + j)));
  const exact = fill(n, (i) => 2 + i).reduce((sum, each) => sum + each, 0);
  /** Of zᵀA z over signs z: twice the sum of squares off the diagonal of the symmetric part. */
  let variance = 0;
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) if (i !== j) variance += 2 * (1 / (1 + i + j)) ** 2;

  it.each(['hutchinson', 'hutch++'] as const)('%s has no bias, and the error that it says', (method) => {
    const op = denseOperator(a, { symmetric: true });
    const samples = 12;
    const runs = Array.from({ length: 400 }, (_, seed) => traceSync(op, { method, samples, seed }));
    const mean = runs.reduce((sum, { estimate }) => sum + estimate / runs.length, 0);
    const spread = runs.reduce((sum, { estimate }) => sum + (estimate - mean) ** 2, 0) / (runs.length - 1);
    expect(Math.abs(mean - exact)).toBeLessThan(5 * Math.sqrt(spread / runs.length));
    const said = runs.reduce((sum, { standardError }) => sum + standardError ** 2 / runs.length, 0);
    expect(said / spread).toBeGreaterThan(0.7);
    expect(said / spread).toBeLessThan(1.4);
    if (method === 'hutchinson') expect(spread / (variance / samples)).toBeCloseTo(1, 0);
  });

  it.each(['hutchinson', 'hutch++'] as const)('%s of few samples and few unknowns', (method) => {
    const op = denseOperator(a, { symmetric: true });
    for (const samples of [1, 2, 3, 4, 5, 6, 7]) {
      const { estimate, standardError, products } = traceSync(op, { method, samples });
      expect(Number.isFinite(estimate)).toBe(true);
      expect(products).toBe(samples);
      const probes = method === 'hutchinson' || samples < 3 ? samples : samples - 2 * Math.floor(samples / 3);
      expect(Number.isFinite(standardError)).toBe(probes > 1);
    }
    for (const size of [1e-200, 0, 1, 1e200]) {
      const one = traceSync(diagonalOperator(Float64Array.of(3 * size)), { method });
      expect(one).toMatchObject({ estimate: 3 * size, standardError: 0 });
    }
    const zero = traceSync(diagonalOperator(new Float64Array(50)), { method, samples: 9 });
    expect(zero).toEqual({ estimate: 0, standardError: 0, products: 9 });
    const whole = traceSync(op, { method: 'hutch++', samples: 3 * n });
    expect(whole).toMatchObject({ standardError: 0, products: 2 * n });
    expect(whole.estimate).toBeCloseTo(exact, 10);
    expect(traceSync(diagonalOperator(fill(3, () => Number.NaN)), { method }).estimate).toBeNaN();
  });

  it.each([
    ['float32', 1e-25],
    ['float32', 1e25],
    ['float64', 1e-200],
    ['float64', 1e200],
  ] as const)('%s of the size %d', (kind, size) => {
    const make = (by: number) =>
      denseOperator(
        {
          data: of(
            kind,
            a.data.map((each) => each * by),
          ),
          shape: [n, n],
        },
        { symmetric: true },
      );
    for (const method of ['hutchinson', 'hutch++'] as const) {
      const plain = traceSync(make(1), { method, samples: 12, seed: 1 });
      const scaled = traceSync(make(size), { method, samples: 12, seed: 1 });
      expect(scaled.estimate / size / plain.estimate).toBeCloseTo(1, 4);
      expect(scaled.standardError / size / plain.standardError).toBeCloseTo(1, 3);
    }
    const plain = diagonalSync(make(1), { samples: 9 });
    const scaled = diagonalSync(make(size), { samples: 9 });
    expect(
      relativeError(
        scaled.diagonal.map((each) => each / size),
        plain.diagonal,
      ),
    ).toBeLessThan(1e-5);
    expect(
      relativeError(
        scaled.standardError.map((each) => each / size),
        plain.standardError,
      ),
    ).toBeLessThan(1e-5);
    const density = spectralDensitySync(make(size), { probes: 3 });
    const expected = spectralDensitySync(make(1), { probes: 3 });
    expect(density.finite).toBe(true);
    expect(
      relativeError(
        density.grid.map((each) => each / size),
        expected.grid,
      ),
    ).toBeLessThan(1e-4);
    expect(
      relativeError(
        density.density.map((each) => each * size),
        expected.density,
      ),
    ).toBeLessThan(1e-2);
  });

  it('the diagonal has the standard error of its samples', () => {
    const op = denseOperator(a, { symmetric: true });
    const samples = 2000;
    const { diagonal, standardError } = diagonalSync(op, { samples });
    for (let i = 0; i < n; i++) {
      let squares = 0;
      for (let j = 0; j < n; j++) if (i !== j) squares += a.data[i * n + j]! ** 2;
      expect(standardError[i]! / Math.sqrt(squares / samples)).toBeCloseTo(1, 1);
      expect(Math.abs(diagonal[i]! - a.data[i * n + i]!)).toBeLessThan(5 * standardError[i]!);
    }
  });
});

describe('the spectral density on its grid', () => {
  const integral = ({ grid, density }: { grid: Float64Array; density: Float64Array }) =>
    density.reduce(
      (sum, each, i) => sum + (i ? ((each + density[i - 1]!) / 2) * (grid[i]! - grid[i - 1]!) : 0),
      0,
    );
  const SPECTRA: [string, Float64Array][] = [
    ['one unknown', Float64Array.of(-3)],
    ['zero', new Float64Array(30)],
    ['one value', new Float64Array(30).fill(1e-200)],
    ['two values', fill(30, (i) => (i < 10 ? -1 : 5))],
    ['many', fill(60, (i) => (i - 20) ** 3)],
    ['huge', fill(30, (i) => i * 1e200)],
  ];

  it.each(SPECTRA)('integrates to 1: %s', (_, spectrum) => {
    const op = diagonalOperator(spectrum);
    for (const options of [
      {},
      { gridPoints: 24 },
      { gridPoints: 5000, steps: 1 },
      { probes: 1 },
      { sigma: Math.max(...spectrum.map(Math.abs), 1e-3) },
    ]) {
      const found = spectralDensitySync(op, options);
      expect(found.finite).toBe(true);
      expect(Math.abs(integral(found) - 1)).toBeLessThan(1e-3);
    }
  });

  it('of a dense matrix with one eigenvalue, to rounding', () => {
    const n = 20;
    // A reflection twice: the identity with rounding.
    const u = vector(n, 3);
    const norm = u.reduce((sum, each) => sum + each * each, 0);
    const reflection = matrix(n, n, (i, j) => Number(i === j) - (2 * u[i]! * u[j]!) / norm);
    using op = denseOperator(reflection, { symmetric: true }).multiply(
      denseOperator(reflection, { symmetric: true }),
    );
    const found = spectralDensitySync(op);
    expect(Math.abs(integral(found) - 1)).toBeLessThan(1e-3);
    expect(found.grid[0]).toBeLessThan(0.96);
    expect(found.grid.at(-1)).toBeGreaterThan(1.04);
  });

  it('refuses widths of zero and grids of one point', () => {
    const op = diagonalOperator(Float64Array.of(1, 2));
    for (const options of [
      { sigma: 0 },
      { sigma: -1 },
      { sigma: Number.NaN },
      { gridPoints: 1 },
      { margin: -1 },
    ])
      expect(() => spectralDensitySync(op, options)).toThrow(RangeError);
    const one = () => spectralDensitySync(op, { gridPoints: 1 });
    expect(one).toThrow('gridPoints should be a whole number of at least 2, got 1');
  });
});

describe.each([
  ['lsmr', lsmrSync],
  ['lsqr', lsqrSync],
] as const)('%s', (_, solve) => {
  const A = matrix(7, 4, (i, j) => Math.sin(1 + 3 * i + 5 * j) + (i === j ? 2 : 0));
  const b = fill(7, (i) => Math.cos(2 * i));
  const solved = (kind: Kind, ofA: number, ofB: number, options = {}) =>
    solve(
      denseOperator({
        data: of(
          kind,
          A.data.map((each) => each * ofA),
        ),
        shape: [7, 4],
      }),
      of(
        kind,
        b.map((each) => each * ofB),
      ),
      { atol: 1e-14, btol: 1e-14, ...options },
    );

  it.each([
    ['float64', [1e-300, 1e-160, 1e-20, 1e-9, 1e-3, 1, 1e20, 1e160, 1e290]],
    ['float32', [1e-30, 1e-15, 1e-5, 1, 1e15, 1e30]],
  ] as const)('gives the same whatever the scale of A and b, %s', (kind, scales) => {
    const expected = solved('float64', 1, 1);
    const most = kind === 'float64' ? Number.MAX_VALUE : 3e38;
    for (const ofA of scales) {
      for (const ofB of scales) {
        const scale = ofB / ofA;
        if (!(scale < most / 10 && scale > 10 / most)) continue;
        // Damped as A is, the solution of least squares is another one.
        for (const damp of [0, 0.5]) {
          const reference = damp === 0 ? expected : solved('float64', 1, 1, { damp });
          const { x, ...record } = solved(kind, ofA, ofB, { damp: damp * ofA, maxIterations: 30 });
          const back = Array.from(x, (each) => each / scale);
          const where = `A × ${ofA}, b × ${ofB}, damp ${damp}`;
          expect(relativeError(back, reference.x), where).toBeLessThan(kind === 'float64' ? 1e-9 : 1e-4);
          expect(record.conditionA / reference.conditionA, where).toBeLessThan(10);
        }
      }
    }
  });

  it('never ends for the condition where conlim is 0, and says where x is beyond the precision', () => {
    const values = fill(20, (i) => 10 ** -i);
    const ill = solve(diagonalOperator(values), new Float64Array(20).fill(1), {
      conlim: 0,
      atol: 0,
      btol: 0,
    });
    expect(ill.reason).not.toBe('condition');
    const far = solve(diagonalOperator(Float32Array.of(1e-30, 2e-30)), Float32Array.of(1e15, 1e15));
    expect(far).toMatchObject({ converged: false, reason: 'range' });
    expect([...far.x].every(Number.isFinite)).toBe(true);
  });
});

describe('cg with a block', () => {
  const diagonal = Float64Array.of(1, 2, 4);
  const sizes = [1e-300, 1e-200, 1e-170, 1e-160, 1, 1e155, 1e200, 1e300];

  it.each(sizes)('of right-hand sides of %d', (size) => {
    const b = Float64Array.of(1, 1, 1, 1, -1, 3).map((each) => each * size);
    const op = diagonalOperator(diagonal);
    const heard: number[] = [];
    const onIteration = ({ residualNorm }: SolverProgress) => heard.push(residualNorm);
    const { x, ...record } = cgSync(op, b, { k: 2, block: true, tolerance: 1e-12, onIteration });
    expect(
      relativeError(
        Float64Array.from(x, (each) => each / size),
        [1, 0.5, 0.25, 1, -0.5, 0.75],
      ),
    ).toBeLessThan(1e-12);
    expect(record).toMatchObject({ converged: true });
    expect(record.residualNorm).toBeLessThan(1e-11 * size);
    expect(heard.length).toBeGreaterThan(0);
    expect(heard.every((each) => each <= 10 * size)).toBe(true);
    // From a start; and beside a system of another size.
    const x0 = Float64Array.from(x, (each) => each * 0.75);
    const again = cgSync(op, b, { k: 2, block: true, tolerance: 1e-12, x0 });
    expect(
      relativeError(
        Float64Array.from(again.x, (each) => each / size),
        [1, 0.5, 0.25, 1, -0.5, 0.75],
      ),
    ).toBeLessThan(1e-12);
    const mixed = Float64Array.of(...b.subarray(0, 3), 1, -1, 3);
    const both = cgSync(op, mixed, { k: 2, block: true, tolerance: 1e-12 });
    expect(both.converged).toBe(true);
    const scaled = both.x.map((each, i) => (i < 3 ? each / size : each));
    expect(relativeError(scaled, [1, 0.5, 0.25, 1, -0.5, 0.75])).toBeLessThan(1e-12);
  });

  it('of solutions that are no numbers of the precision', () => {
    for (const [a, size] of [
      [1e300, 1e-30],
      [1e-300, 1e30],
    ] as const) {
      const op = diagonalOperator(diagonal.map((each) => each * a));
      const b = new Float64Array(6).fill(size).map((each, i) => each * (i + 1));
      const { x, ...record } = cgSync(op, b, { k: 2, block: true });
      expect(record).toMatchObject({ converged: false, reason: 'range' });
      expect([...x].some(Number.isNaN)).toBe(false);
    }
  });
});

describe.each([
  ['lsmr', lsmrSync],
  ['lsqr', lsqrSync],
] as const)('%s of solutions that are no numbers of the precision', (_, solve) => {
  it.each([
    ['float64', 1e300, 1e-30],
    ['float64', 1e300, 1e-300],
    ['float64', 1e-300, 1e20],
    ['float32', 1e20, 1e-37],
    ['float32', 1e-30, 1e20],
  ] as const)('%s: A of %d, b of %d', (kind, a, size) => {
    const op = diagonalOperator(of(kind, [a, 2 * a]));
    const { x, ...record } = solve(op, of(kind, [size, size]));
    expect(record).toMatchObject({ converged: false, reason: 'range' });
    expect([...x].every(Number.isFinite)).toBe(true);
  });
});
