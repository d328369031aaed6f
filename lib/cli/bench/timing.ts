import { performance } from 'node:perf_hooks';
import type { FloatArray } from '../../index.ts';

export interface Timing {
  minMs: number;
  medianMs: number;
  runs: number;
}

export function timed<T>(body: () => T): { ms: number; result: T } {
  const start = performance.now();
  const result = body();
  return { ms: performance.now() - start, result };
}

export function summarize(samples: readonly number[]): Timing {
  const sorted = [...samples].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const medianMs = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
  return { minMs: sorted[0]!, medianMs, runs: sorted.length };
}

/**
 * How often to run something that takes `ms`: as often as the budget allows, within bounds that keep a minimum
 * meaningful and a fast product from taking for ever.
 */
export function runsWithin(
  budgetMs: number,
  ms: number,
  { least, most }: { least: number; most: number },
): number {
  return Math.min(most, Math.max(least, Math.floor(budgetMs / Math.max(ms, 1e-3))));
}

/**
 * `max|a − b| / max|b|`: the largest difference in any element, against the largest element of the reference `b`.
 * (Element by element, a quotient says nothing where `b` is near zero.) NaN when either holds one.
 */
export function maxRelativeDifference(a: FloatArray, b: FloatArray): number {
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    // Math.max keeps NaN, so that a broken result cannot pass for an equal one.
    difference = Math.max(difference, Math.abs(a[i]! - b[i]!));
    scale = Math.max(scale, Math.abs(b[i]!));
  }
  return difference === 0 ? 0 : difference / scale;
}

/** What two correct products may differ by, as `maxRelativeDifference` measures it. */
export const TOLERANCES = { float32: 1e-4, float64: 1e-10 } as const;
