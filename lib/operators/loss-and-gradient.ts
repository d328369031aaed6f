/** The loss of a problem and its gradient. */

import { acceptedBy, operation } from '../addon/operation.ts';
import {
  type ArrayKind,
  allocated,
  copyOf,
  dtypeOf,
  type FloatArray,
  floatArray,
  type ResultArray,
} from '../arrays.ts';
import { checkOptions } from '../check.ts';
import { type ProcessGroup, readTogether, theGroup } from '../distributed/process-group.ts';
import { OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import { l2Vector } from '../problem/l2.ts';
import type { GivenLossProblem, LossProblem } from '../problem/loss.ts';
import { type GivenStreamedProblem, isStreamed, type StreamedProblem } from '../problem/streamed-problem.ts';
import { LINEARIZE_NAMES } from '../products/linearize.ts';
import type { OperatorOptions } from './factories.ts';
import { lossRequest } from './factory.ts';
import { Stream } from './streamed.ts';

/** Of `lossAndGradient`. */
export interface LossAndGradientOptions extends OperatorOptions {
  /**
   * The problem has some of the rows, and the other ranks of this group have the others: the loss and the gradient are those
   * of all rows, the same on every rank, with one sum over the ranks.
   */
  group?: ProcessGroup;
}

const NAMES = new OptionNames<OperatorOptions>({ ...LINEARIZE_NAMES, weights: true });
const PROMISED_NAMES = new OptionNames<LossAndGradientOptions>({
  ...LINEARIZE_NAMES,
  weights: true,
  group: true,
});

const ASKED = operation((problem: GivenLossProblem, options: OperatorOptions) => {
  const { request, signal, describe } = lossRequest(problem, options);
  return { name: 'lossGradient', request, signal, describe, result: (found) => found };
});

/**
 * The loss at the parameters, and its gradient by them (flat, P). As in PyTorch, the mean of no terms at all is NaN, and
 * its derivatives are 0. With `group`, those of the data of all its ranks.
 */
export function lossAndGradient<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: LossAndGradientOptions,
): Promise<{ loss: number; gradient: ResultArray<ArrayKind<F>> }>;
export async function lossAndGradient(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: LossAndGradientOptions,
): Promise<{ loss: number; gradient: ResultArray<FloatArray> }> {
  const { group: given, ...own } = readTogether(options, () => PROMISED_NAMES.read(options));
  if (given === undefined) {
    if (isStreamed(problem)) return finished(await streamedSum(problem, own));
    const { loss, gradient } = await ASKED.promised(problem, own);
    return { loss, gradient };
  }
  const group = theGroup(given, 'group');
  const { signal } = acceptedBy(group, () => checkOptions(own));
  return group.inCommon(async () => {
    const sum = isStreamed(problem) ? await streamedSum(problem, own) : await wholeSum(problem, own);
    const { values, extras } = await group.sum(
      sum.gradient,
      `lossAndGradient, a ${sum.mean ? 'mean' : 'sum'}`,
      [sum.loss, sum.divisor],
      signal && { signal },
    );
    return finished({ ...sum, gradient: values, loss: extras[0]!, divisor: extras[1]! });
  }, own.signal);
}
/** `lossAndGradient` on the calling thread. */
export function lossAndGradientSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): { loss: number; gradient: ResultArray<ArrayKind<F>> };
export function lossAndGradientSync(
  problem: GivenLossProblem,
  options?: OperatorOptions,
): { loss: number; gradient: ResultArray<FloatArray> } {
  const { loss, gradient } = ASKED.sync(problem, NAMES.read(options));
  return { loss, gradient };
}

/** Sums over terms, and what a mean and an L2 term make of them. */
interface Sum {
  loss: number;
  gradient: FloatArray;
  /** What a mean divides by. */
  divisor: number;
  mean: boolean;
  params: FloatArray;
  l2: FloatArray | undefined;
}

async function streamedSum(problem: GivenStreamedProblem, options: OperatorOptions): Promise<Sum> {
  const stream = new Stream(problem, options);
  const gradient = allocated(Float64Array, stream.model.parameterCount);
  const { l2, params } = stream;
  let [loss, divisor] = [0, 0];
  for await (const { problem, options: how, rows } of stream.pass(checkOptions(options).signal)) {
    if (rows === 0) continue;
    const part = await ASKED.promised(problem, how);
    loss += part.loss;
    for (let i = 0; i < gradient.length; i++) gradient[i]! += part.gradient[i]!;
    divisor += part.divisor;
  }
  return { loss, gradient, divisor, mean: problem.reduction !== 'sum', params, l2 };
}

async function wholeSum(problem: GivenLossProblem, options: OperatorOptions): Promise<Sum> {
  const { l2: term, reduction, ...rest } = checkProblem(problem);
  const { model } = rest;
  const params = copyOf(model.toFlat(rest.params, 'params'));
  const l2 = term === undefined ? undefined : l2Vector(term, model, dtypeOf(params));
  const sum = await ASKED.promised({ ...rest, reduction: 'sum' }, options);
  const gradient = Float64Array.from(sum.gradient);
  return { ...sum, gradient, mean: reduction !== 'sum', params, l2 };
}

function finished({ loss, gradient: sum, divisor, mean, params, l2 }: Sum) {
  // The mean of no terms is NaN, and its derivatives are 0.
  const share = mean ? (divisor > 0 ? 1 / divisor : 0) : 1;
  let value = !mean ? loss : divisor > 0 ? loss / divisor : Number.NaN;
  const gradient = floatArray(dtypeOf(params), sum.length);
  for (let i = 0; i < sum.length; i++) gradient[i] = sum[i]! * share;
  if (l2 !== undefined) {
    for (let i = 0; i < sum.length; i++) {
      const slope = l2[i]! * params[i]!;
      gradient[i]! += slope;
      value += (slope * params[i]!) / 2;
    }
  }
  return { loss: value, gradient };
}
