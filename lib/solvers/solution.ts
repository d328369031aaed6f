/** How solvers of A x = b ended. */
import type { FloatArray, ResultArray } from '../arrays.ts';
import type { SolverReason } from './reasons.ts';

/** How one right-hand side ended. Not to converge is a result, no failure: x is the iterate that was reached. */
export interface SolverRecord {
  /** Steps of the method, one product with the operator each, as SciPy counts; products that check the residual are none. */
  iterations: number;
  /** ‖b − A x‖ of the x returned, by a product. */
  residualNorm: number;
  /** Whether the tolerance was reached. */
  converged: boolean;
  /** Why it ended. */
  reason: SolverReason;
  /** For people; empty when converged. */
  message: string;
}

/**
 * Over all right-hand sides: the most iterations, the largest residual, whether all converged, and the reason of the first
 * that did not.
 */
export interface LinearSolution<F extends FloatArray = FloatArray> extends SolverRecord {
  /** Flat, of the length of b; memory of its own. */
  x: ResultArray<F>;
  /** One for each right-hand side. */
  records: SolverRecord[];
}

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
