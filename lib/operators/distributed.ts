/** Operators of data that are split between processes. */
import { addon } from '../addon/addon.ts';
import type { FloatArray } from '../arrays.ts';
import { type ProcessGroup, theGroup } from '../distributed/process-group.ts';
import { outOfRange } from '../errors.ts';
import { OptionNames } from '../options.ts';
import type { OperatorKind } from './kinds.ts';
import { checkOperator, LinearOperator } from './linear-operator.ts';

/** Of `distributed`. */
export interface DistributedOptions {
  /** By default the one that `initProcessGroup` has made. */
  group?: ProcessGroup;
}

const OPTIONS = new OptionNames<DistributedOptions>({ group: true });

/** What to write instead, for kinds that are no sums over data. */
const INSTEAD: { readonly [Kind in OperatorKind]?: string } = {
  jacobian:
    'it has a row for each output of all data, of which the ranks say first how many they have: ' +
    'await jacobian(problem, { group }). For JᵀJ, distributed(await gramian(problem))',
  perSampleGradients:
    'it has a row for each row of all data, of which the ranks say first how many they have: ' +
    'await perSampleGradients(problem, { group }). For GᵀG, distributed(await empiricalFisher(problem))',
  ntk: 'it has a row for each output of all data, of which the ranks say first how many they have: await ntk(problem, { group })',
  kfac: 'the factors of all data are made of those of the ranks, not their product: await kfac(problem, { group })',
  ekfac:
    'the factors of all data are made of those of the ranks, not their product: await ekfac(problem, { group })',
  damped:
    'the sum would be damped once for each rank: distributed(op).damp(lambda) with op as it was before damp',
  product: 'the product of sums is no sum of products: distributed(a).multiply(distributed(b))',
  inverse: 'the inverse of a sum is no sum of inverses: cgInverse(distributed(op))',
  eigenvectors: 'it has eigenvectors of part of the data',
  distributed: 'it is distributed already',
};

/**
 * The operator of the data of all ranks, where each rank has one of the same kind for its own part of the data, of as many
 * rows as it likes: one that is a sum over the rows (`jacobian` and others that are not take a `group` themselves). The solvers
 * and estimators, and whatever is made of operators, work with it as with any other, and give the same bits on every rank. A
 * product adds as many numbers as it has over the ranks, once for all its vectors.
 *
 * What means and sums over the data are is as for one process with all rows: of a loss with `reduction: 'mean'`, the mean
 * over the terms of all ranks; with `center`, around the mean over all of them; with `l2`, the term once. `fisher` takes
 * `firstRow`, as its draws depend on the numbers of the rows.
 *
 * Every rank has to make the same products with the same vectors in the same order, which is checked in each: where ranks
 * differ, all of them fail.
 *
 * @throws RangeError for an operator that is no sum over data, with what to write instead; its products throw
 * `ERR_TIMEOUT` and `ERR_DISTRIBUTED`
 */
export function distributed<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: DistributedOptions,
): LinearOperator<F> {
  const { group: given } = OPTIONS.read(options);
  checkOperator(op, 'op');
  const group = theGroup(given, 'group');
  const instead = op.together === undefined ? INSTEAD[op.kind] : INSTEAD.distributed;
  if (instead !== undefined) throw outOfRange(`${op.kind} cannot be distributed: ${instead}`);
  const handle = addon().operatorDistributed(op.handle, group.handle);
  return new LinearOperator<F>(handle, 'distributed', op.space, op.columnSpace, group);
}
