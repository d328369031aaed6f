/** Sums over vectors. */
import type { FloatArray } from '../arrays.ts';

export function dot(a: FloatArray, b: FloatArray): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

export function norm(a: FloatArray): number {
  return Math.sqrt(dot(a, a));
}
