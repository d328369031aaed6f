/** The loss of a problem and its gradient. */

import { operation } from '../addon/operation.ts';
import { allocated, type FloatArray, floatArray, type ResultArray } from '../arrays.ts';
import { checkOptions } from '../check.ts';
import { OptionNames } from '../options.ts';
import type { GivenLossProblem, LossProblem } from '../problem/loss.ts';
import { type GivenStreamedProblem, isStreamed, type StreamedProblem } from '../problem/streamed-problem.ts';
import { LINEARIZE_NAMES } from '../products/linearize.ts';
import type { OperatorOptions } from './factories.ts';
import { lossRequest } from './factory.ts';
import { Stream } from './streamed.ts';

const NAMES = new OptionNames<OperatorOptions>({ ...LINEARIZE_NAMES, weights: true });

const ASKED = operation((problem: GivenLossProblem, options: OperatorOptions) => {
  const { request, signal, describe } = lossRequest(problem, options);
  return { name: 'lossGradient', request, signal, describe, result: (found) => found };
});

/**
 * The loss at the parameters, and its gradient by them (flat, P). As in PyTorch, the mean of no terms at all is NaN, and
 * its derivatives are 0.
 */
export function lossAndGradient<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<{ loss: number; gradient: ResultArray<F> }>;
export async function lossAndGradient(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: OperatorOptions,
): Promise<{ loss: number; gradient: ResultArray<FloatArray> }> {
  if (isStreamed(problem)) return streamedGradient(problem, NAMES.read(options));
  const { loss, gradient } = await ASKED.promised(problem, NAMES.read(options));
  return { loss, gradient };
}
/** `lossAndGradient` on the calling thread. */
export function lossAndGradientSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): { loss: number; gradient: ResultArray<F> };
export function lossAndGradientSync(
  problem: GivenLossProblem,
  options?: OperatorOptions,
): { loss: number; gradient: ResultArray<FloatArray> } {
  const { loss, gradient } = ASKED.sync(problem, NAMES.read(options));
  return { loss, gradient };
}

async function streamedGradient(problem: GivenStreamedProblem, options: OperatorOptions) {
  const stream = new Stream(problem, options);
  const sum = allocated(Float64Array, stream.model.parameterCount);
  const { l2 } = stream;
  let [loss, divisor] = [0, 0];
  for await (const { problem, options: how, rows } of stream.pass(checkOptions(options).signal)) {
    if (rows === 0) continue;
    const part = await ASKED.promised(problem, how);
    loss += part.loss;
    for (let i = 0; i < sum.length; i++) sum[i]! += part.gradient[i]!;
    divisor += part.divisor;
  }
  const isSum = problem.reduction === 'sum';
  const share = isSum ? 1 : divisor > 0 ? 1 / divisor : 0;
  if (!isSum) loss /= divisor;
  const gradient = floatArray(stream.dtype, sum.length);
  gradient.set(sum.map((each) => each * share));
  if (l2 !== undefined) {
    for (let i = 0; i < sum.length; i++) {
      const slope = l2[i]! * stream.params[i]!;
      gradient[i]! += slope;
      loss += (slope * stream.params[i]!) / 2;
    }
  }
  return { loss, gradient };
}
