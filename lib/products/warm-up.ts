/** The costs of a first product, paid before it. */

import type { Tensor } from '../arrays.ts';
import { dtypeOf, floatArray } from '../arrays.ts';
import { checkOptions, type ProductOptions } from '../check.ts';
import type { Inputs, Model } from '../model/model.ts';
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
  const few = { model, params: flat, x: firstRows(model, x) };
  await matvecOnTheFly(few, v, given);
}

/** As many rows as the model runs at a time, or a few; all of them where there are no more, or what is given is odd. */
function firstRows(model: Model, x: Inputs): Inputs {
  const rows = model.batchSize ?? ROWS;
  const first = (input: Tensor): Tensor => {
    const { data, shape } = Object(input) as Tensor;
    const [batch, ...row] = Array.isArray(shape) ? (shape as number[]) : [];
    if (!ArrayBuffer.isView(data) || !(Number(batch) > rows) || data.length % batch! !== 0) return input;
    return { data: data.subarray(0, (data.length / batch!) * rows), shape: [rows, ...row] };
  };
  return Array.isArray(x) ? x.map(first) : first(x as Tensor);
}
