/** The costs of a first product, paid before it. */

import { types } from 'node:util';
import type { Tensor } from '../arrays.ts';
import { dtypeOf, floatArray, sizesOf } from '../arrays.ts';
import { checkOptions, type ProductOptions } from '../check.ts';
import { isList, isRevoked, lengthOf, listOf } from '../foreign.ts';
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
    const { data, shape } = (isRevoked(input) ? {} : Object(input)) as Tensor;
    const [batch = 0, ...row] = isList(shape) ? sizesOf(shape, 'a shape of x') : [];
    if (!types.isTypedArray(data) || !(Number(batch) > rows) || lengthOf(data) % batch !== 0) return input;
    return { data: data.subarray(0, (lengthOf(data) / batch) * rows), shape: [rows, ...row] };
  };
  return isList(x) ? (listOf(x, 'x') as Tensor[]).map(first) : first(x as Tensor);
}
