/** Solvers against SciPy and NumPy, record by record, over matrices given by formulas: scripts/reference/solvers.py. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  cgSync,
  denseOperator,
  type EigshEnd,
  eigshSync,
  type FloatArray,
  logdetSync,
  lsmrSync,
  lsqrSync,
  minresSync,
} from '../../lib/index.ts';
import { apply, element, type Matrix, matrix, transpose } from '../support/dense.ts';
import { dot, relativeError } from '../support/models.ts';

type Iterates = Record<string, Record<string, number[]>>;
interface LeastSquares {
  rows: number;
  columns: number;
  damp: number;
  x0: number[] | null;
  steps: Record<string, number[]>;
  x: number[];
  istop: number;
  iterations: number;
  normA: number;
  conditionA: number;
}
const reference: {
  n: number;
  cg: Iterates;
  minres: Iterates;
  blockCg: Record<string, Record<string, { k: number; steps: Record<string, number[][]>; x: number[][] }>>;
  lsmr: LeastSquares[];
  lsqr: LeastSquares[];
  logdet: Record<string, number>;
  eigenvalues: Record<string, number[]>;
} = JSON.parse(readFileSync(new URL('../fixtures/solvers.json', import.meta.url), 'utf8'));
const { n } = reference;

const diagonal = (of: (i: number) => number) => (i: number, j: number) => (i === j ? of(i) : 0);
const kac = (i: number, j: number) => 1 / (1 + Math.abs(i - j));
/** The formulas of the script. */
const FORMULAS: Record<string, (i: number, j: number) => number> = {
  decay: diagonal((i) => 10 ** ((-7 * i) / (n - 1))),
  laplacian: (i, j) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0),
  hilbert: (i, j) => 1 / (i + j + 1),
  lehmer: (i, j) => (Math.min(i, j) + 1) / (Math.max(i, j) + 1),
  toeplitz: kac,
  repeated: diagonal((i) => 1 + Math.floor(i / 4)),
  identity: diagonal(() => 1),
  zero: () => 0,
  'two values': diagonal((i) => (i < 3 ? 10 : 1)),
  'rank two': (i, j) => ((i + 1) * (j + 1)) / n + (-1) ** (i + j),
  indefinite: (i, j) => (i === j ? (-1) ** i * (1 + i) : 0) + kac(i, j),
  pairs: (i, j) => (i !== j && Math.floor(i / 2) === Math.floor(j / 2) ? 1 : 0),
  saddle: (i, j) => (Math.abs(i - j) === n / 2 ? 1 : 0) + (i === j && i < n / 2 ? (i + 1) / n : 0),
};
const MATRICES = Object.fromEntries(
  Object.entries(FORMULAS).map(([name, formula]) => [name, matrix(n, n, formula)]),
);
const b = Float64Array.from({ length: n }, (_, i) => Math.cos(i));

function residual(a: Matrix, x: FloatArray): number {
  const product = apply(a, x);
  return Math.hypot(...b.map((each, i) => each - product[i]!));
}

const iterates = (method: 'cg' | 'minres') =>
  Object.entries(reference[method]).flatMap(([name, xs]) =>
    Object.entries(xs).map(([k, x]): [string, number, number[]] => [name, Number(k), x]),
  );

describe.each([
  ['cg', cgSync],
  ['minres', minresSync],
] as const)('the iterates of %s are those of SciPy', (method, solve) => {
  it.each(iterates(method))('%s after %i steps', (name, k, expected) => {
    const a = MATRICES[name]!;
    const op = denseOperator(a, { symmetric: true });
    const heard: number[] = [];
    const { x, ...record } = solve(op, b, {
      maxIterations: k,
      tolerance: 1e-13,
      onIteration: ({ residualNorm }) => heard.push(residualNorm),
    });
    expect(relativeError(x, expected)).toBeLessThan(1e-10);
    expect(record).toMatchObject({ iterations: k, converged: false, reason: 'maxIterations' });
    expect(Math.abs(record.residualNorm / residual(a, x) - 1)).toBeLessThan(1e-9);
    expect(heard).toHaveLength(k);
    expect(Math.abs(heard.at(-1)! / record.residualNorm - 1)).toBeLessThan(1e-6);
  });
});

/** The formulas of the script. */
const PRECONDITIONERS: Record<string, (i: number, j: number) => number> = {
  none: diagonal(() => 1),
  diagonal: diagonal((i) => 1 + i / 7),
  dense: (i, j) => Number(i === j) + kac(i, j) ** 2,
};

describe.each(
  Object.entries(reference.blockCg).flatMap(([name, by]) =>
    Object.entries(by).map(([preconditioner, found]) => ({ name, preconditioner, ...found })),
  ),
)('cg with a block on $name, preconditioned by $preconditioner', (found) => {
  const { name, preconditioner, k, steps } = found;
  const op = denseOperator(MATRICES[name]!, { symmetric: true });
  const b = Float64Array.from({ length: k * n }, (_, i) => Math.cos(i * i));
  const given = {
    k,
    block: true,
    ...(preconditioner !== 'none' && {
      preconditioner: denseOperator(matrix(n, n, PRECONDITIONERS[preconditioner]!), { symmetric: true }),
    }),
  };

  it.each(Object.entries(steps))('is the best of its Krylov space after %s steps', (step, expected) => {
    const { x, ...record } = cgSync(op, b, { ...given, maxIterations: Number(step), tolerance: 1e-14 });
    expect(relativeError(x, expected.flat())).toBeLessThan(1e-10);
    expect(record).toMatchObject({ iterations: Number(step), reason: 'maxIterations' });
  });

  it("ends at SciPy's solutions of each by itself", () => {
    const { x, ...record } = cgSync(op, b, { ...given, tolerance: 1e-13 });
    expect(record).toMatchObject({ converged: true });
    expect(relativeError(x, found.x.flat())).toBeLessThan(1e-10);
    const alone = cgSync(op, b, { ...given, block: false, tolerance: 1e-13 });
    expect(relativeError(x, alone.x)).toBeLessThan(1e-10);
    expect(record.iterations).toBeLessThan(alone.iterations);
  });
});

const leastSquares = (
  [
    ['lsmr', lsmrSync],
    ['lsqr', lsqrSync],
  ] as const
).flatMap(([method, solve]) => reference[method].map((found) => ({ method, solve, ...found })));

describe.each(leastSquares)('$method of $rows × $columns, damp $damp, is that of SciPy (%#)', (found) => {
  const { solve, rows, columns, damp, steps } = found;
  const a = matrix(
    rows,
    columns,
    (i, j) => (i === j ? 1 + i / 5 : 0) + 1 / (1 + Math.abs(i - 2 * j)) + Math.sin(i + j) / 9,
  );
  const op = denseOperator(a);
  const b = Float64Array.from({ length: rows }, (_, i) => Math.cos(i));
  const x0 = Float64Array.from(found.x0 ?? new Array(columns).fill(0));
  const given = { damp, ...(found.x0 && { x0 }) };

  it('after each number of steps', () => {
    for (const [k, expected] of Object.entries(steps)) {
      const exact = { atol: 0, btol: 0, conlim: 0, maxIterations: Number(k) };
      const { x, ...record } = solve(op, b, { ...given, ...exact });
      expect(relativeError(x, expected)).toBeLessThan(1e-10);
      expect(record).toMatchObject({ iterations: Number(k), reason: 'maxIterations', converged: false });
    }
  });

  it('where it ends, with residuals by products', () => {
    const { x, ...record } = solve(op, b, given);
    // By then rounding has grown, up to what the tolerances leave.
    expect(relativeError(x, found.x)).toBeLessThan(1e-4);
    const reason = ['solution', 'solution', 'leastSquares', 'condition'][found.istop];
    expect(record).toMatchObject({ reason: reason ?? 'maxIterations' });
    // Once as many steps were taken as there are unknowns, rounding decides which of them is the last.
    const more = Math.abs(record.iterations - found.iterations);
    expect(more).toBeLessThanOrEqual(1);
    expect(Math.abs(record.normA / found.normA - 1)).toBeLessThan(more === 0 ? 1e-2 : 0.1);
    expect(Math.abs(record.conditionA / found.conditionA - 1)).toBeLessThan(0.5);
    const r = apply(a, x).map((each, i) => b[i]! - each);
    expect(Math.abs(record.residualNorm - Math.hypot(...r))).toBeLessThan(1e-12);
    const normal = apply(transpose(a), r).map((each, i) => each - damp ** 2 * (x[i]! - x0[i]!));
    expect(Math.abs(record.normalResidualNorm - Math.hypot(...normal))).toBeLessThan(1e-12);
    // The minimum is that of the damped problem about x0.
    if (reason !== undefined) expect(record.normalResidualNorm).toBeLessThan(1e-4);
  });
});

it.each(Object.entries(reference.logdet))(
  'the logarithm of the determinant of %s is that of NumPy',
  (name, expected) => {
    const op = denseOperator(MATRICES[name]!, { symmetric: true });
    const exact = logdetSync(op, { method: 'exact' });
    expect(exact).toMatchObject({ standardError: 0, products: n });
    expect(Math.abs(exact.estimate - expected)).toBeLessThan(1e-9 * Math.max(1, Math.abs(expected)));
    // With as many steps as unknowns, only the random vectors are left.
    const { estimate, standardError } = logdetSync(op, { probes: 200, steps: n });
    expect(Math.abs(estimate - expected)).toBeLessThan(4 * standardError + 1e-9);
  },
);

/** As SciPy's `eigsh` names them. */
function wanted(values: readonly number[], which: EigshEnd, k: number): number[] {
  const by = (key: (value: number) => number) =>
    [...values]
      .sort((x, y) => key(x) - key(y))
      .slice(0, k)
      .sort((x, y) => x - y);
  if (which === 'BE') return [...values.slice(0, Math.floor(k / 2)), ...values.slice(n - Math.ceil(k / 2))];
  return { LM: by((x) => -Math.abs(x)), SM: by(Math.abs), LA: by((x) => -x), SA: by((x) => x) }[which];
}

describe.each(Object.keys(MATRICES))('eigenvalues of %s', (name) => {
  const values = reference.eigenvalues[name]!;
  const size = Math.max(...values.map(Math.abs), Number.MIN_VALUE);
  const a = MATRICES[name]!;

  it.each(['LM', 'SM', 'LA', 'SA', 'BE'] as const)('at %s', (which) => {
    const op = denseOperator(a, { symmetric: true });
    for (const k of [1, 2, 3, 6, n / 2, n - 1, n]) {
      for (const seed of [0, 1, 2]) {
        const found = eigshSync(op, { k, which, seed });
        expect(found).toMatchObject({ converged: true, reason: 'converged', message: '' });
        // Of two that are alike in magnitude, either is right.
        const sorted = (list: ArrayLike<number>) =>
          which === 'LM' || which === 'SM' ? Array.from(list, Math.abs).sort((x, y) => x - y) : list;
        const expected = sorted(wanted(values, which, k));
        const error = Math.max(
          ...Array.from(sorted(found.eigenvalues), (each, i) => Math.abs(each - expected[i]!)),
        );
        expect(error / size).toBeLessThan(1e-12);
        for (let i = 0; i < k; i++) {
          const q = found.eigenvectors.subarray(i * n, (i + 1) * n);
          const rest = apply(a, q).map((each, at) => each - found.eigenvalues[i]! * q[at]!);
          expect(Math.hypot(...rest) / size).toBeLessThan(1e-12);
          expect(Math.abs(Math.hypot(...rest) - found.residualNorms[i]!) / size).toBeLessThan(1e-13);
          for (let j = 0; j <= i; j++) {
            const other = found.eigenvectors.subarray(j * n, (j + 1) * n);
            expect(Math.abs(dot(q, other) - Number(i === j))).toBeLessThan(1e-12);
          }
        }
      }
    }
  });
});

describe.each(['decay', 'laplacian', 'lehmer', 'toeplitz', 'repeated', 'indefinite', 'saddle'])(
  'of %s',
  (name) => {
    const values = reference.eigenvalues[name]!;
    const size = Math.max(...values.map(Math.abs));
    const op = denseOperator(MATRICES[name]!, { symmetric: true });

    it.each([-0.37, 0.21, 1.313, 4.21])('eigenvalues near %d, through the inverse', (sigma) => {
      if (values.some((each) => Math.abs(each - sigma) < 1e-3)) return;
      for (const k of [1, 3]) {
        const { eigenvalues, residualNorms, ...record } = eigshSync(op, { k, sigma });
        expect(record).toMatchObject({ converged: true, reason: 'converged' });
        const nearest = [...values].sort((x, y) => Math.abs(x - sigma) - Math.abs(y - sigma)).slice(0, k);
        nearest.sort((x, y) => x - y);
        eigenvalues.forEach((each, i) => {
          expect(Math.abs(each - nearest[i]!) / size).toBeLessThan(1e-10);
          expect(residualNorms[i]! / size).toBeLessThan(1e-8);
        });
      }
    });
  },
);

it('has the formulas of the script', () => {
  for (const [name, a] of Object.entries(MATRICES)) {
    let trace = 0;
    let squares = 0;
    for (let i = 0; i < n; i++) {
      trace += element(a, i, i);
      for (let j = 0; j < n; j++) squares += element(a, i, j) ** 2;
    }
    const values = reference.eigenvalues[name]!;
    expect(values.reduce((sum, each) => sum + each, 0)).toBeCloseTo(trace, 9);
    expect(values.reduce((sum, each) => sum + each ** 2, 0)).toBeCloseTo(squares, 8);
  }
});
