import type { LinearSolution } from './linear.ts';

/** What is said over all right-hand sides, of which there is at least one. */
export function summary(found: Pick<LinearSolution, 'x' | 'records'>): LinearSolution {
  const { x, records } = found;
  const worst = records.find(({ converged }) => !converged) ?? records[0]!;
  return {
    x,
    iterations: records.reduce((most, { iterations }) => Math.max(most, iterations), 0),
    residualNorm: records.reduce((most, { residualNorm }) => Math.max(most, residualNorm), 0),
    converged: worst.converged,
    reason: worst.reason,
    message: worst.message,
    records,
  };
}
