/** How far a solver is, told by the products that it has taken, on standard error where that is a terminal. */
import { bar, isTerminal, statusLine } from '../../scripts/setup/status-line.mjs';
import { customOperator, type FloatArray, type LinearOperator } from '../index.ts';
import { formatMs } from './format.ts';

/** How often the time is shown while a product runs. */
const TICK_MS = 250;

/**
 * Runs a task and says on the status line what it is and how long it has taken. The task gets a function that says how far
 * it is.
 */
export async function withStatus<T>(
  task: string,
  run: (say: (how: string) => void) => Promise<T>,
): Promise<T> {
  const line = statusLine();
  const start = performance.now();
  let how = '';
  const show = () => line.show(`${how}${task}, ${formatMs(performance.now() - start)}`);
  const timer = setInterval(show, TICK_MS);
  show();
  try {
    return await run((text) => {
      how = text;
      show();
    });
  } finally {
    clearInterval(timer);
    line.clear();
  }
}

/**
 * Runs a solver on an operator and shows how many products it has taken, of how many where that is known. Where nobody
 * watches, the solver gets the operator itself, whose vectors need not pass through here.
 */
export function withProducts<T>(
  op: LinearOperator,
  task: string,
  total: number | undefined,
  solve: (op: LinearOperator) => Promise<T>,
): Promise<T> {
  if (!isTerminal()) return solve(op);
  return withStatus(task, async (say) => {
    let count = 0;
    const taken = (more: number) => {
      count += more;
      say(total === undefined ? `${count} products, ` : `${bar(count, total)} ${count}/${total} products, `);
    };
    taken(0);
    using counted = countedOperator(op, taken);
    return await solve(counted);
  });
}

/** The same operator, which says so after each product. */
function countedOperator(op: LinearOperator, taken: (more: number) => void): LinearOperator {
  const { shape, dtype, device, symmetric } = op;
  return customOperator({
    ...{ shape, dtype, device, symmetric },
    async matmat(vectors: FloatArray, k, { signal }) {
      const result: FloatArray = await op.matmat(vectors, k, { signal });
      taken(k);
      return result;
    },
    async rmatmat(vectors: FloatArray, k, { signal }) {
      const result: FloatArray = await op.rmatmat(vectors, k, { signal });
      taken(k);
      return result;
    },
  });
}
