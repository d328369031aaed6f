/** What solvers are asked for, and why they end. */

/**
 * Why a solver ended:
 * - `converged`: ‖b − A x‖ ≤ tolerance ‖b‖, found by a product with x.
 * - `maxIterations`: that many steps were taken.
 * - `indefinite`: `cg` met a direction p with pᵀA p ≤ 0 (to rounding), so A is not positive definite; x is the iterate
 *   before it.
 * - `preconditioner`: the preconditioner is not positive definite.
 * - `stagnation`: the residual no longer falls, because of rounding or because a singular system has no solution, of
 *   which `minres` gives a least-squares one; about from a condition number of 1/√ε on it takes a system for singular.
 * - `range`: the solution is too small or too large for a number of the precision.
 * - `stopped`: `onIteration` returned `false`.
 * - `nan`: the right-hand side, the start, the operator or the preconditioner gave NaN or infinity; x is the last finite
 *   iterate.
 */
export type SolverReason =
  | 'converged'
  | 'maxIterations'
  | 'indefinite'
  | 'preconditioner'
  | 'stagnation'
  | 'range'
  | 'stopped'
  | 'nan';

export const ENDS = ['LM', 'SM', 'LA', 'SA', 'BE'] as const;
/** Which end of the spectrum `eigsh` looks at. */
export type EigshEnd = (typeof ENDS)[number];

/**
 * Why `eigsh` ended:
 * - `converged`: all pairs are within the tolerance, and a search in a fresh direction found nothing further out.
 * - `maxIterations`: that many products were not enough for one or the other; the message says which.
 * - `stagnation`: with a `sigma` far from the eigenvalues, rounding of A − sigma I keeps the residuals above the tolerance.
 * - `nan`: a product with the operator gave NaN or infinity, or eigenvalues are beyond the range of the precision.
 */
export type EigshReason = 'converged' | 'maxIterations' | 'stagnation' | 'nan';
