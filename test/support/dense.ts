/** Dense linear algebra of the textbook, to compare operators and solvers with. Matrices are row-major tensors. */
import type { FloatArray } from '../../lib/index.ts';

export interface Matrix {
  readonly data: FloatArray;
  readonly shape: readonly number[];
}

/** The matrix with these elements. */
export function matrix(rows: number, columns: number, at: (i: number, j: number) => number) {
  const data = Float64Array.from({ length: rows * columns }, (_, index) =>
    at(Math.floor(index / columns), index % columns),
  );
  return { data, shape: [rows, columns] as const };
}

export function element({ data, shape }: Matrix, i: number, j: number): number {
  return data[i * shape[1]! + j]!;
}

export function transpose(a: Matrix) {
  return matrix(a.shape[1]!, a.shape[0]!, (i, j) => element(a, j, i));
}

export function times(a: Matrix, b: Matrix) {
  return matrix(a.shape[0]!, b.shape[1]!, (i, j) => {
    let sum = 0;
    for (let k = 0; k < a.shape[1]!; k++) sum += element(a, i, k) * element(b, k, j);
    return sum;
  });
}

/** A v */
export function apply(a: Matrix, v: FloatArray): Float64Array {
  return times(a, { data: v, shape: [v.length, 1] }).data;
}

export function diagonalOf(a: Matrix): Float64Array {
  return Float64Array.from({ length: a.shape[0]! }, (_, i) => element(a, i, i));
}

export function traceOf(a: Matrix): number {
  return diagonalOf(a).reduce((sum, each) => sum + each, 0);
}

/** x with A x = b, by Gaussian elimination with partial pivoting. */
export function solve(a: Matrix, b: FloatArray): Float64Array {
  const n = b.length;
  const rows = Array.from({ length: n }, (_, i) => [...a.data.slice(i * n, (i + 1) * n), b[i]!]);
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k; i < n; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = k + 1; i < n; i++) {
      const factor = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j <= n; j++) rows[i]![j]! -= factor * rows[k]![j]!;
    }
  }
  const x = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    let sum = rows[i]![n]!;
    for (let j = i + 1; j < n; j++) sum -= rows[i]![j]! * x[j]!;
    x[i] = sum / rows[i]![i]!;
  }
  return x;
}

/** The eigenvalues of a symmetric matrix, ascending, by Jacobi's rotations. */
export function eigenvalues(symmetric: Matrix): Float64Array {
  const n = symmetric.shape[0]!;
  const a = Float64Array.from(symmetric.data);
  for (let sweep = 0; sweep < 30; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const apq = a[p * n + q]!;
        if (apq === 0) continue;
        const theta = (a[q * n + q]! - a[p * n + p]!) / (2 * apq);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const cosine = 1 / Math.hypot(t, 1);
        const sine = t * cosine;
        for (const [x, y] of [
          [(k: number) => p * n + k, (k: number) => q * n + k],
          [(k: number) => k * n + p, (k: number) => k * n + q],
        ] as const) {
          for (let k = 0; k < n; k++) {
            const [u, v] = [a[x(k)]!, a[y(k)]!];
            a[x(k)] = cosine * u - sine * v;
            a[y(k)] = sine * u + cosine * v;
          }
        }
      }
    }
  }
  return diagonalOf({ data: a, shape: [n, n] }).sort();
}
