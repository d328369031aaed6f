/** Solvers and estimators against dense linear algebra. */
import { describe, expect, it } from 'vitest';
import {
  cg,
  cgSync,
  customOperator,
  denseOperator,
  diagonal,
  diagonalOperator,
  diagonalSync,
  eigsh,
  eigshSync,
  type FloatArray,
  gaussNewtonSync,
  gramianSync,
  hessianSync,
  jacobianSync,
  type LinearOperator,
  type LinearSolution,
  type LinearSolverOptions,
  minres,
  minresSync,
  type SolverProgress,
  spectralDensity,
  spectralDensitySync,
  trace,
  traceSync,
} from '../../lib/index.ts';
import {
  apply,
  diagonalOf,
  eigenvalues,
  element,
  type Matrix,
  matrix,
  solve,
  times,
  traceOf,
  transpose,
} from '../support/dense.ts';
import {
  dot,
  MODEL_CASES,
  problemOf,
  relativeError,
  tensorOf,
  toFloat32,
  vector,
} from '../support/models.ts';

const n = 24;
const noise = vector(n * n, 9);
const square = matrix(n, n, (i, j) => noise[i * n + j]!);

/** Positive definite, with a diagonal of very different sizes. */
const scales = Float64Array.from({ length: n }, (_, i) => 10 ** (i % 4));
const positive = matrix(n, n, (i, j) => {
  const gram = dot(square.data.subarray(i * n, (i + 1) * n), square.data.subarray(j * n, (j + 1) * n));
  return (gram / n + Number(i === j)) * Math.sqrt(scales[i]! * scales[j]!);
});
/** Symmetric, with eigenvalues of both signs and none near zero. */
const indefinite = matrix(
  n,
  n,
  (i, j) => (element(square, i, j) + element(square, j, i)) / 10 + (i === j ? 3 * (-1) ** i : 0),
);
/** Symmetric, of rank n/2. */
const half = matrix(n, n / 2, (i, j) => element(square, i, j));
const singular = times(half, transpose(half));

const b = vector(n, 3);

function operator({ data, shape }: Matrix): LinearOperator {
  return denseOperator({ data, shape }, { symmetric: true });
}

/** ‖b − A x‖ */
function residual(a: Matrix, x: FloatArray, b: FloatArray): number {
  const product = apply(a, x);
  return Math.hypot(...b.map((each, i) => each - product[i]!));
}

const SOLVERS = { cg: [cg, cgSync], minres: [minres, minresSync] } as const;

describe.each(Object.entries(SOLVERS))('%s', (_, [method, methodSync]) => {
  const op = operator(positive);
  const exact = solve(positive, b);

  it('solves', async () => {
    const solution = await method(op, b, { tolerance: 1e-10 });
    expect(relativeError(solution.x, exact)).toBeLessThan(1e-7);
    expect(solution).toMatchObject({ converged: true, reason: 'converged', message: '' });
    expect(solution.iterations).toBeGreaterThan(0);
    expect(solution.iterations).toBeLessThanOrEqual(10 * n);
    expect(Math.abs(solution.residualNorm - residual(positive, solution.x, b))).toBeLessThan(1e-12);
    const { x, ...record } = solution;
    expect(record.records).toEqual([{ ...record, records: undefined }]);
  });

  it('keeps to its tolerance, relative to the right-hand side', () => {
    const size = Math.hypot(...b);
    let before = 0;
    for (const tolerance of [1e-2, 1e-5, 1e-8]) {
      const { x, iterations, converged } = methodSync(op, b, { tolerance });
      expect(converged).toBe(true);
      expect(residual(positive, x, b)).toBeLessThanOrEqual(tolerance * size * (1 + 1e-9));
      expect(iterations).toBeGreaterThanOrEqual(before);
      before = iterations;
    }
    const scaled = methodSync(
      op,
      b.map((each) => 1e6 * each),
      { tolerance: 1e-2 },
    );
    expect(scaled.iterations).toBe(methodSync(op, b, { tolerance: 1e-2 }).iterations);
  });

  it('gives the same on the calling thread', async () => {
    expect(methodSync(op, b)).toEqual(await method(op, b));
  });

  it('gives float32 for float32', () => {
    const single = denseOperator(
      { data: toFloat32(positive.data), shape: positive.shape },
      { symmetric: true },
    );
    const { x, converged } = methodSync(single, toFloat32(b), { tolerance: 1e-4 });
    expect(converged).toBe(true);
    expect(x).toBeInstanceOf(Float32Array);
    expect(residual(positive, x, b)).toBeLessThan(2e-4 * Math.hypot(...b));
  });

  it('starts where it is told', async () => {
    const from = exact.map((each) => each * (1 + 1e-3));
    const near = await method(op, b, { x0: from, tolerance: 1e-6 });
    const far = await method(op, b, { tolerance: 1e-6 });
    expect(residual(positive, near.x, b)).toBeLessThan(1e-6 * Math.hypot(...b));
    expect(near.iterations).toBeLessThan(far.iterations);
    const done = await method(op, b, { x0: exact, tolerance: 1e-6 });
    expect(done).toMatchObject({ iterations: 0, converged: true });
    expect(done.x).toEqual(exact);
    expect(done.x).not.toBe(exact);
  });

  it('gives zero for a right-hand side of zero', () => {
    const { x, iterations, converged, residualNorm } = methodSync(op, new Float64Array(n));
    expect(x).toEqual(new Float64Array(n));
    expect({ iterations, converged, residualNorm }).toEqual({
      iterations: 0,
      converged: true,
      residualNorm: 0,
    });
  });

  it('solves for several right-hand sides, each as alone', async () => {
    const sides = [b, vector(n, 5), new Float64Array(n)];
    const all = Float64Array.from(sides.flatMap((side) => [...side]));
    const solution = await method(op, all, { k: 3, tolerance: 1e-8 });
    const alone = sides.map((side) => methodSync(op, side, { tolerance: 1e-8 }));
    expect(solution.x).toEqual(Float64Array.from(alone.flatMap(({ x }) => [...x])));
    expect(solution.records).toEqual(alone.map(({ records }) => records[0]));
    expect(solution.iterations).toBe(Math.max(...alone.map(({ iterations }) => iterations)));
    expect(solution.converged).toBe(true);
    const x0 = solution.x;
    expect((await method(op, all, { k: 3, x0, tolerance: 1e-7 })).iterations).toBe(0);
  });

  it.each<[string, () => LinearSolverOptions]>([
    [
      'an operator',
      () => ({ preconditioner: diagonalOperator(diagonalOf(positive).map((each) => 1 / each)) }),
    ],
    ['a diagonal', () => ({ preconditioner: diagonalOf(positive).map((each) => 1 / each) })],
  ])('is faster with a preconditioner, %s', async (_, options) => {
    const plain = methodSync(op, b, { tolerance: 1e-8 });
    for (const solution of [
      methodSync(op, b, { tolerance: 1e-8, ...options() }),
      await method(op, b, { tolerance: 1e-8, ...options() }),
    ]) {
      expect(solution.converged).toBe(true);
      expect(residual(positive, solution.x, b)).toBeLessThan(1e-8 * Math.hypot(...b) * (1 + 1e-9));
      expect(solution.iterations).toBeLessThan(plain.iterations);
    }
  });

  it('converges at once with the inverse as preconditioner', () => {
    const columns = Array.from({ length: n }, (_, j) =>
      solve(
        positive,
        Float64Array.from({ length: n }, (_, i) => Number(i === j)),
      ),
    );
    const inverse = operator(matrix(n, n, (i, j) => (columns[j]![i]! + columns[i]![j]!) / 2));
    const { iterations, converged } = methodSync(op, b, { preconditioner: inverse, tolerance: 1e-8 });
    expect(converged).toBe(true);
    expect(iterations).toBeLessThanOrEqual(2);
  });

  it('says that a preconditioner is not positive definite', () => {
    const preconditioner = new Float64Array(n).fill(-1);
    const { converged, reason, message } = methodSync(op, b, { preconditioner });
    expect({ converged, reason }).toEqual({ converged: false, reason: 'preconditioner' });
    expect(message).toMatch(/preconditioner is not positive definite/);
  });

  it('reports that it did not converge', async () => {
    const solution = await method(op, b, { maxIterations: 3, tolerance: 1e-12 });
    expect(solution).toMatchObject({ converged: false, reason: 'maxIterations', iterations: 3 });
    expect(solution.message).toMatch(/3 iterations/);
    expect(Math.abs(solution.residualNorm - residual(positive, solution.x, b))).toBeLessThan(1e-10);
    // Of several, those that did converge say so.
    const all = Float64Array.from([...new Float64Array(n), ...b]);
    const both = await method(op, all, { k: 2, maxIterations: 3, tolerance: 1e-12 });
    expect(both).toMatchObject({ converged: false, reason: 'maxIterations' });
    expect(both.records.map(({ converged }) => converged)).toEqual([true, false]);
  });

  it('ends where rounding keeps the tolerance out of reach', () => {
    const { converged, reason, x } = methodSync(op, b, { tolerance: 0 });
    expect(converged).toBe(false);
    expect(['stagnation', 'maxIterations']).toContain(reason);
    expect(relativeError(x, exact)).toBeLessThan(1e-9);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('reports %s in the right-hand side', async (value) => {
    const broken = b.slice();
    broken[4] = value;
    const { converged, reason, message } = await method(op, broken);
    expect({ converged, reason }).toEqual({ converged: false, reason: 'nan' });
    expect(message).toMatch(/NaN/);
  });

  it('reports NaN in the operator', () => {
    const broken = operator(matrix(n, n, (i, j) => (i + j === 5 ? Number.NaN : element(positive, i, j))));
    expect(methodSync(broken, b)).toMatchObject({ converged: false, reason: 'nan' });
  });

  it('tells of each iteration', async () => {
    const all = Float64Array.from([...b, ...vector(n, 5)]);
    for (const sync of [false, true]) {
      const heard: SolverProgress[] = [];
      const options: LinearSolverOptions = { k: 2, onIteration: (progress) => heard.push(progress) };
      const solution = sync ? methodSync(op, all, options) : await method(op, all, options);
      const expected = solution.records.flatMap(({ iterations }, rightHandSide) =>
        Array.from({ length: iterations }, (_, i) => ({ iteration: i + 1, rightHandSide })),
      );
      expect(heard.map(({ iteration, rightHandSide }) => ({ iteration, rightHandSide }))).toEqual(expected);
      expect(heard.every(({ residualNorm }) => residualNorm >= 0)).toBe(true);
    }
  });

  it('ends with what onIteration throws', async () => {
    const failure = new Error('no more');
    const onIteration = ({ iteration }: SolverProgress) => {
      if (iteration === 2) throw failure;
    };
    await expect(method(op, b, { onIteration })).rejects.toBe(failure);
    expect(() => methodSync(op, b, { onIteration })).toThrow(failure);
    // Nothing is left over that would disturb the next.
    expect((await method(op, b)).converged).toBe(true);
  });

  it('stops when its signal is aborted', async () => {
    const reason = new Error('enough');
    await expect(method(op, b, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(() => methodSync(op, b, { signal: AbortSignal.abort(reason) })).toThrow(reason);
    const controller = new AbortController();
    // Without an end of its own: the residual of a product that waits falls slowly.
    using slow = customOperator({
      shape: [n, n],
      dtype: 'float64',
      symmetric: true,
      async matmat(vectors, k) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return op.matmatSync(vectors, k);
      },
    });
    const pending = method(slow, b, { tolerance: 1e-12, signal: controller.signal });
    setTimeout(() => controller.abort(reason), 20);
    await expect(pending).rejects.toBe(reason);
  });

  it('takes the vectors of a model by name', () => {
    const each = MODEL_CASES[0]!;
    const problem = problemOf(each);
    using damped = gramianSync(problem).damp(0.1);
    const right = Float64Array.from(each.v);
    const flat = methodSync(damped, right);
    expect(flat.converged).toBe(true);
    expect(methodSync(damped, problem.model.unflatten(right)).x).toEqual(flat.x);
  });
});

describe('an operator that is not positive definite', () => {
  const op = operator(indefinite);

  it('is told to cg, with minres suggested', async () => {
    expect(eigenvalues(indefinite)[0]).toBeLessThan(0);
    const { converged, reason, message } = await cg(op, b);
    expect({ converged, reason }).toEqual({ converged: false, reason: 'indefinite' });
    expect(message).toMatch(/not positive definite.*minres/);
  });

  it('is solved by minres', () => {
    const { x, converged } = minresSync(op, b, { tolerance: 1e-10 });
    expect(converged).toBe(true);
    expect(relativeError(x, solve(indefinite, b))).toBeLessThan(1e-8);
  });

  it('is solved by minres also where it is singular', () => {
    const within = apply(singular, b);
    const { x, converged } = minresSync(operator(singular), within, { tolerance: 1e-9 });
    expect(converged).toBe(true);
    expect(residual(singular, x, within)).toBeLessThan(1e-8 * Math.hypot(...within));
  });

  it('without a solution is reported by minres, with the least-squares solution', () => {
    const none = minresSync(operator(singular), b, { tolerance: 1e-9 });
    expect(none.converged).toBe(false);
    expect(none.reason).not.toBe('converged');
    // The least-squares solution: A (b − A x) = 0.
    const rest = apply(singular, none.x).map((each, i) => b[i]! - each);
    expect(Math.hypot(...apply(singular, rest))).toBeLessThan(1e-5 * Math.hypot(...apply(singular, b)));
  });
});

describe('eigsh', () => {
  const values = eigenvalues(indefinite);
  const byMagnitude = [...values].sort((x, y) => Math.abs(x) - Math.abs(y));
  const ascending = (list: number[]) => Float64Array.from(list).sort();
  const op = operator(indefinite);

  it.each([1, 3, 6, n - 1, n])('finds %i eigenpairs of each end', async (k) => {
    for (const [which, expected] of [
      ['LM', ascending(byMagnitude.slice(-k))],
      ['SM', ascending(byMagnitude.slice(0, k))],
      ['LA', values.slice(-k)],
      ['SA', values.slice(0, k)],
    ] as const) {
      const found = await eigsh(op, { k, which });
      expect(found).toMatchObject({ converged: true, reason: 'converged', message: '' });
      expect(relativeError(found.eigenvalues, expected)).toBeLessThan(1e-10);
      expect(found.eigenvectors).toHaveLength(k * n);
      for (let i = 0; i < k; i++) {
        const q = found.eigenvectors.subarray(i * n, (i + 1) * n);
        const product = apply(indefinite, q);
        const error = Math.hypot(...product.map((each, at) => each - found.eigenvalues[i]! * q[at]!));
        expect(error).toBeLessThan(1e-7);
        expect(Math.abs(error - found.residualNorms[i]!)).toBeLessThan(1e-7);
        for (let j = 0; j <= i; j++) {
          const other = found.eigenvectors.subarray(j * n, (j + 1) * n);
          expect(Math.abs(dot(q, other) - Number(i === j))).toBeLessThan(1e-8);
        }
      }
    }
  });

  it('finds six of the largest magnitude unless told otherwise, the same by the same seed', async () => {
    const found = await eigsh(op);
    expect(relativeError(found.eigenvalues, ascending(byMagnitude.slice(-6)))).toBeLessThan(1e-10);
    expect(eigshSync(op)).toEqual(found);
    expect(eigshSync(op, { seed: 0n })).toEqual(found);
    expect(eigshSync(op, { seed: 1 }).eigenvectors).not.toEqual(found.eigenvectors);
  });

  it('finds eigenvalues that are several times the same', () => {
    const repeated = Float64Array.from({ length: n }, (_, i) => Math.floor(i / 3));
    const { eigenvalues: found, converged } = eigshSync(diagonalOperator(repeated), { k: 5, which: 'LA' });
    expect(converged).toBe(true);
    expect(relativeError(found, repeated.slice(-5))).toBeLessThan(1e-9);
    const all = eigshSync(diagonalOperator(new Float64Array(n).fill(2)), { k: 4 });
    expect(relativeError(all.eigenvalues, [2, 2, 2, 2])).toBeLessThan(1e-12);
    expect(eigshSync(diagonalOperator(new Float64Array(n)), { k: 2 }).eigenvalues).toEqual(
      new Float64Array(2),
    );
  });

  it('works in float32', () => {
    const single = denseOperator({ data: toFloat32(indefinite.data), shape: [n, n] }, { symmetric: true });
    const { eigenvalues: found, converged } = eigshSync(single, { k: 3, which: 'LA' });
    expect(converged).toBe(true);
    expect(found).toBeInstanceOf(Float32Array);
    expect(relativeError(found, values.slice(-3))).toBeLessThan(1e-5);
  });

  it('finds those of the Hessian of a model', () => {
    const each = MODEL_CASES.find(({ name }) => name === 'gelu and silu')!;
    const { loss, reduction, target } = each.losses[0]!;
    using h = hessianSync({ ...problemOf(each), loss, reduction, target: tensorOf(target) });
    const all = eigenvalues(h.toDenseSync());
    expect(relativeError(eigshSync(h, { k: 4, which: 'LA' }).eigenvalues, all.slice(-4))).toBeLessThan(1e-9);
    expect(relativeError(eigshSync(h, { k: 2, which: 'SA' }).eigenvalues, all.slice(0, 2))).toBeLessThan(
      1e-9,
    );
  });

  it('reports that it did not converge, and NaN', () => {
    const spread = diagonalOperator(Float64Array.from({ length: 400 }, (_, i) => 1 + i * 1e-4));
    const found = eigshSync(spread, { k: 4, maxIterations: 12, basis: 10 });
    expect(found).toMatchObject({ converged: false, reason: 'maxIterations' });
    expect(found.message).not.toBe('');
    const broken = diagonalOperator(Float64Array.from({ length: n }, (_, i) => (i === 3 ? Number.NaN : 1)));
    expect(eigshSync(broken, { k: 2 })).toMatchObject({ converged: false, reason: 'nan' });
  });

  it('stops when its signal is aborted', async () => {
    const reason = new Error('enough');
    await expect(eigsh(op, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

describe('trace', () => {
  const exact = traceOf(singular);

  it.each(['hutchinson', 'hutch++'] as const)('by %s comes as close as it says', async (method) => {
    const op = operator(singular);
    // Of many seeds, some are off by three standard errors, few by five.
    const off = Array.from({ length: 40 }, (_, seed) => {
      const { estimate, standardError, products } = traceSync(op, { method, samples: 30, seed });
      expect(products).toBeLessThanOrEqual(30);
      expect(products).toBeGreaterThan(20);
      return { error: Math.abs(estimate - exact), standardError };
    });
    const rounding = 1e-9 * exact;
    expect(
      off.filter(({ error, standardError }) => error > 5 * standardError + rounding).length,
    ).toBeLessThan(3);
    expect(Math.max(...off.map(({ error }) => error))).toBeLessThan(0.4 * exact);
    expect(traceSync(op, { method, seed: 3 })).toEqual(await trace(op, { method, samples: 30, seed: 3n }));
    expect(traceSync(op, { method, seed: 3, samples: 9 })).not.toEqual(
      traceSync(op, { method, seed: 4, samples: 9 }),
    );
  });

  it('is exact by hutch++ where the rank is small, and by Hutchinson for a diagonal', () => {
    const low = matrix(n, 2, (i, j) => element(square, i, j));
    const gram = times(low, transpose(low));
    expect(traceSync(operator(gram), { method: 'hutch++' }).estimate).toBeCloseTo(traceOf(gram), 9);
    const { estimate, standardError } = traceSync(diagonalOperator(scales));
    expect(estimate / scales.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 12);
    expect(standardError).toBeLessThan(1e-9 * estimate);
  });

  it('is closer by hutch++ than by Hutchinson for a positive matrix with a fast decay', () => {
    const decaying = matrix(n, n, (i, j) => {
      let sum = 0;
      for (let k = 0; k < n; k++) sum += element(square, i, k) * element(square, j, k) * 4 ** -k;
      return sum;
    });
    const error = (method: 'hutchinson' | 'hutch++') => {
      const errors = Array.from({ length: 10 }, (_, seed) =>
        Math.abs(traceSync(operator(decaying), { method, samples: 15, seed }).estimate - traceOf(decaying)),
      );
      return errors.reduce((sum, each) => sum + each, 0);
    };
    expect(error('hutch++')).toBeLessThan(error('hutchinson') / 5);
  });

  it('has no standard error from one random vector, and takes float32', () => {
    const op = denseOperator({ data: toFloat32(singular.data), shape: [n, n] });
    expect(traceSync(op, { samples: 1 }).standardError).toBeNaN();
    expect(Number.isFinite(traceSync(op, { samples: 2 }).standardError)).toBe(true);
  });
});

describe('diagonal', () => {
  it('comes as close as it says', async () => {
    const op = operator(positive);
    const found = diagonalSync(op, { samples: 400, seed: 2 });
    expect(await diagonal(op, { samples: 400, seed: 2 })).toEqual(found);
    const exact = diagonalOf(positive);
    const off = found.diagonal.map((each, i) => Math.abs(each - exact[i]!) / found.standardError[i]!);
    expect(Math.max(...off)).toBeLessThan(5);
    expect(diagonalSync(op, { seed: 1 }).diagonal).not.toEqual(diagonalSync(op, { seed: 2 }).diagonal);
    expect(diagonalSync(op).diagonal).toHaveLength(n);
  });

  it('is exact for a diagonal', () => {
    const { diagonal: found, standardError } = diagonalSync(diagonalOperator(scales), { samples: 3 });
    expect(relativeError(found, scales)).toBeLessThan(1e-14);
    expect(Math.max(...standardError)).toBeLessThan(1e-10);
    expect(diagonalSync(diagonalOperator(scales), { samples: 1 }).standardError[0]).toBeNaN();
  });
});

describe('spectralDensity', () => {
  const op = operator(indefinite);
  const values = eigenvalues(indefinite);

  it('is a density, of the same moments as the eigenvalues', async () => {
    const sigma = 0.1;
    const found = await spectralDensity(op, { probes: 60, gridPoints: 2000, margin: 0.3, sigma, seed: 1 });
    expect(found.finite).toBe(true);
    expect(found.grid).toHaveLength(2000);
    expect(found.density).toHaveLength(2000);
    expect(found.products).toBe(60 * n);
    const step = found.grid[1]! - found.grid[0]!;
    expect(found.grid.every((each, i) => i === 0 || each > found.grid[i - 1]!)).toBe(true);
    expect(found.density.every((each) => each >= 0)).toBe(true);
    const moment = (power: number) =>
      found.grid.reduce((sum, x, i) => sum + step * x ** power * found.density[i]!, 0);
    const exact = (power: number) => values.reduce((sum, x) => sum + x ** power / n, 0);
    expect(moment(0)).toBeCloseTo(1, 3);
    expect(Math.abs(moment(1) - exact(1))).toBeLessThan(0.3);
    // Gaussians of width σ add σ² to the second moment.
    expect(moment(2) / (exact(2) + sigma ** 2)).toBeCloseTo(1, 1);
    expect(found.grid[0]).toBeLessThan(values[0]!);
    expect(found.grid.at(-1)).toBeGreaterThan(values.at(-1)!);
  });

  it('has the eigenvalues for nodes when it takes every step', () => {
    const { nodes, weights } = spectralDensitySync(op, { probes: 3, steps: n });
    expect(nodes.shape).toEqual([3, n]);
    expect(weights.shape).toEqual([3, n]);
    for (let i = 0; i < 3; i++) {
      expect(relativeError(nodes.data.subarray(i * n, (i + 1) * n), values)).toBeLessThan(1e-9);
      const sum = weights.data.subarray(i * n, (i + 1) * n).reduce((total, each) => total + each, 0);
      expect(sum).toBeCloseTo(1, 12);
    }
    expect(spectralDensitySync(op, { probes: 2, steps: 5 }).nodes.shape).toEqual([2, 5]);
    // More steps than there are unknowns are as many as there are.
    expect(spectralDensitySync(op, { probes: 2, steps: 500 }).nodes.shape).toEqual([2, n]);
  });

  it('gives the same by the same seed, also on the calling thread', async () => {
    expect(await spectralDensity(op, { seed: 4 })).toEqual(spectralDensitySync(op, { seed: 4n }));
    expect(spectralDensitySync(op, { seed: 5 }).density).not.toEqual(
      spectralDensitySync(op, { seed: 4 }).density,
    );
  });

  it('is finite for a matrix of one eigenvalue, and says where NaN came', () => {
    for (const value of [0, 3]) {
      const found = spectralDensitySync(diagonalOperator(new Float64Array(n).fill(value)));
      expect(found.finite).toBe(true);
      expect(found.density.every(Number.isFinite)).toBe(true);
      const peak = found.grid[found.density.indexOf(Math.max(...found.density))]!;
      expect(Math.abs(peak - value)).toBeLessThan(0.1);
    }
    const broken = diagonalOperator(Float64Array.from({ length: n }, (_, i) => (i === 3 ? Number.NaN : 1)));
    expect(spectralDensitySync(broken).finite).toBe(false);
  });
});

describe('bad input', () => {
  const op = operator(positive);
  const oblong = jacobianSync(problemOf(MODEL_CASES[0]!));
  const plain = (value: unknown) => value as never;

  it.each([
    ['cg', () => cgSync(oblong, b)],
    ['minres', () => minresSync(oblong, b)],
    ['eigsh', () => eigshSync(oblong)],
    ['trace', () => traceSync(oblong)],
    ['diagonal', () => diagonalSync(oblong)],
    ['spectralDensity', () => spectralDensitySync(oblong)],
  ])('%s of an operator that is not square', (name, call) => {
    expect(call).toThrow(
      expect.objectContaining({
        code: 'ERR_SHAPE_MISMATCH',
        message: expect.stringMatching(`${name} needs a square operator, got \\[6, \\d+\\]`),
      }),
    );
  });

  it.each<[string, () => unknown, typeof TypeError | typeof RangeError, RegExp]>([
    ['no operator', () => cgSync(plain(null), b), TypeError, /op should be a LinearOperator/],
    [
      'a matrix for an operator',
      () => eigshSync(plain(positive)),
      TypeError,
      /op should be a LinearOperator/,
    ],
    ['a list for b', () => cgSync(op, plain([1, 2])), TypeError, /b should be/],
    ['options that are none', () => cgSync(op, b, plain(7)), TypeError, /options/],
    ['a negative tolerance', () => minresSync(op, b, { tolerance: -1 }), RangeError, /tolerance/],
    ['a tolerance of NaN', () => minresSync(op, b, { tolerance: Number.NaN }), RangeError, /tolerance/],
    ['a tolerance of words', () => cgSync(op, b, { tolerance: plain('1e-3') }), TypeError, /tolerance/],
    ['fewer iterations than none', () => cgSync(op, b, { maxIterations: -1 }), RangeError, /maxIterations/],
    ['no products', () => eigshSync(op, { maxIterations: 0 }), RangeError, /maxIterations/],
    ['half a right-hand side', () => cgSync(op, b, { k: 0.5 }), RangeError, /k should/],
    [
      'a matrix as preconditioner',
      () => cgSync(op, b, { preconditioner: plain(positive) }),
      TypeError,
      /preconditioner/,
    ],
    ['a word to be called', () => cgSync(op, b, { onIteration: plain('log') }), TypeError, /onIteration/],
    ['a signal that is none', () => cgSync(op, b, { signal: plain({}) }), TypeError, /signal/],
    ['threads below one', () => traceSync(op, { threads: 0 }), RangeError, /threads/],
    ['too many eigenvalues', () => eigshSync(op, { k: n + 1 }), RangeError, /k should .*24/],
    ['no eigenvalues', () => eigshSync(op, { k: 0 }), RangeError, /k should/],
    ['an unknown end', () => eigshSync(op, { which: plain('EB') }), RangeError, /which .*'BE'/],
    [
      'an unknown method',
      () => traceSync(op, { method: plain('guess') }),
      RangeError,
      /method .*'hutch\+\+'/,
    ],
    ['no samples', () => diagonalSync(op, { samples: 0 }), RangeError, /samples/],
    ['a seed below zero', () => diagonalSync(op, { seed: -1 }), RangeError, /seed/],
    ['no probes', () => spectralDensitySync(op, { probes: 0 }), RangeError, /probes/],
    ['a negative width', () => spectralDensitySync(op, { sigma: -1 }), RangeError, /sigma/],
    ['half a step', () => spectralDensitySync(op, { steps: 1.5 }), RangeError, /steps/],
  ])('%s', (_, call, kind, message) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });

  it.each<[string, () => Promise<LinearSolution>, string, RegExp]>([
    ['a right-hand side too short', () => cg(op, b.subarray(1)), 'ERR_SHAPE_MISMATCH', /b should have 24/],
    [
      'several right-hand sides too short',
      () => minres(op, b, { k: 2 }),
      'ERR_SHAPE_MISMATCH',
      /b should have 48/,
    ],
    [
      'a right-hand side of the other precision',
      () => cg(op, toFloat32(b)),
      'ERR_DTYPE_MISMATCH',
      /b should be float64 as the operator is/,
    ],
    ['a start too short', () => cg(op, b, { x0: b.subarray(1) }), 'ERR_SHAPE_MISMATCH', /x0 should have 24/],
    [
      'a start of the other precision',
      () => cg(op, b, { x0: toFloat32(b) }),
      'ERR_DTYPE_MISMATCH',
      /x0 should be float64 as the operator is/,
    ],
    [
      'a preconditioner too short',
      () => cg(op, b, { preconditioner: b.subarray(1) }),
      'ERR_SHAPE_MISMATCH',
      /preconditioner/,
    ],
    [
      'a preconditioner of another shape',
      () => cg(op, b, { preconditioner: diagonalOperator(new Float64Array(3)) }),
      'ERR_SHAPE_MISMATCH',
      /preconditioner/,
    ],
    [
      'a preconditioner of the other precision',
      () => minres(op, b, { preconditioner: diagonalOperator(new Float32Array(n)) }),
      'ERR_DTYPE_MISMATCH',
      /preconditioner/,
    ],
  ])('%s', async (_, call, code, message) => {
    await expect(call()).rejects.toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });

  it('an operator after its dispose', async () => {
    const gone = operator(positive);
    gone.dispose();
    const disposed = expect.objectContaining({ code: 'ERR_DISPOSED' });
    await expect(cg(gone, b)).rejects.toThrow(disposed);
    expect(() => eigshSync(gone)).toThrow(disposed);
    await expect(cg(op, b, { preconditioner: gone })).rejects.toThrow(disposed);
    const going = operator(positive);
    const pending = cg(going, b);
    going.dispose();
    expect((await pending).converged).toBe(true);
  });

  it('NaN in the data of a model: solvers stop and say so', async () => {
    const each = MODEL_CASES[0]!;
    const { loss, reduction, target } = each.losses[0]!;
    const problem = problemOf(each);
    const data = Float64Array.from(problem.x.data as Float64Array);
    data[0] = Number.NaN;
    using broken = gaussNewtonSync({
      ...problem,
      x: { data, shape: problem.x.shape },
      loss,
      reduction,
      target: tensorOf(target),
    });
    const right = Float64Array.from(each.v);
    expect(await cg(broken, right)).toMatchObject({ converged: false, reason: 'nan' });
    expect(await minres(broken, right)).toMatchObject({ converged: false, reason: 'nan' });
    expect(await eigsh(broken, { k: 1 })).toMatchObject({ converged: false, reason: 'nan' });
    expect((await trace(broken)).estimate).toBeNaN();
    expect((await spectralDensity(broken)).finite).toBe(false);
  });
});
