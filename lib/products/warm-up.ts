/** The costs of a first product, paid before it. */

import { dtypeOf, floatArray } from '../arrays.ts';
import { checkOptions, type ProductOptions } from '../check.ts';
import { OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import type { Problem } from '../problem/problem.ts';
import { matvecOnTheFly } from './products.ts';

/** Of `warmUp`. */
export type WarmUpOptions = Pick<ProductOptions, 'device' | 'threads' | 'engine' | 'signal'>;

const WARM_UP_OPTIONS = new OptionNames<WarmUpOptions>({
  device: true,
  threads: true,
  engine: true,
  signal: true,
});

/** Rows of the product that is computed; two, as models may treat a single row in ways of their own. */
const ROWS = 2;

/**
 * Makes the first product of a server as fast as the next ones: loads the addon, starts threads, and computes a product
 * of a few rows, as `matvecOnTheFly` does.
 *
 * @throws what `matvecOnTheFly` throws
 */
export async function warmUp(problem: Problem, options?: WarmUpOptions): Promise<void> {
  const given = WARM_UP_OPTIONS.read(options);
  checkOptions(given);
  const { model, params, x } = checkProblem(problem);
  const flat = model.toFlat(params, 'params');
  const v = floatArray(dtypeOf(flat), flat.length);
  const few = { model, params: flat, x: model.firstRows(x, model.batchSize ?? ROWS) };
  await matvecOnTheFly(few, v, given);
}
