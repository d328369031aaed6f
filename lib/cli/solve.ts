/** The way of every command that solves something for one operator: read, linearize, solve, say. */
import type { LinearOperator } from '../index.ts';
import type { ModelOperator } from '../operators/kinds.ts';
import { makeOperator, type OperatorOptions } from './operator.ts';
import { readProblem } from './problem.ts';
import { withProducts, withStatus } from './products.ts';

/**
 * @param task what the status line calls it
 * @param total products that it takes, where that is known
 * @param tell says what was found, and how many milliseconds that took
 */
export async function solveOn<Found>(
  kind: ModelOperator,
  options: OperatorOptions,
  { task, total }: { task: string; total?: (op: LinearOperator) => number },
  solve: (op: LinearOperator) => Promise<Found>,
  tell: (op: LinearOperator, found: Found, milliseconds: number) => Promise<void>,
): Promise<void> {
  using op = await withStatus('linearizing', async () =>
    makeOperator(kind, await readProblem(options), options),
  );
  const start = performance.now();
  const found = await withProducts(op, task, total?.(op), solve);
  await tell(op, found, performance.now() - start);
}
