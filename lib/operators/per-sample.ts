/** What each row of the data adds to the loss, and to its gradient. */

import { operation } from '../addon/operation.ts';
import { run } from '../addon/run.ts';
import {
  type ArrayKind,
  copyOf,
  type FloatArray,
  floatArray,
  type ResultArray,
  type Tensor,
} from '../arrays.ts';
import { checkOptions, positive } from '../check.ts';
import { type NamesOf, OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import { copyOfBatch } from '../problem/copies.ts';
import type { GivenLossProblem, LossProblem } from '../problem/loss.ts';
import { type GivenStreamedProblem, isStreamed, type StreamedProblem } from '../problem/streamed-problem.ts';
import { LINEARIZE_NAMES } from '../products/linearize.ts';
import { type OperatorOptions, perSampleGradients } from './factories.ts';
import { counted, lossRequest, withOwnWeights } from './factory.ts';
import { type BatchOptions, Stream } from './streamed.ts';

const NAMES: NamesOf<OperatorOptions> = { ...LINEARIZE_NAMES, weights: true };
const LOSSES_OPTIONS = new OptionNames<OperatorOptions>(NAMES);

const LOSSES = operation((problem: GivenLossProblem, options: OperatorOptions) => {
  const { request, signal, describe } = lossRequest(problem, options);
  return {
    name: 'rowLosses',
    request,
    signal,
    describe,
    result: (found) => found as ResultArray<FloatArray>,
  };
});

/**
 * What each row of the data adds to the loss, [N]: they sum to it but for the `l2` term, which is of no row. With `reduction: 'sum'` these are PyTorch's losses of the
 * samples, with `'mean'` 1/N of them (for one term in each row).
 *
 * @throws TorchCurvatureError `ERR_UNSUPPORTED_OP` where the rows of the model depend on one another
 */
export function perSampleLosses<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: OperatorOptions,
): Promise<ResultArray<ArrayKind<F>>>;
export async function perSampleLosses(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: OperatorOptions,
): Promise<ResultArray<FloatArray>> {
  const read = LOSSES_OPTIONS.read(options);
  if (!isStreamed(problem)) return LOSSES.promised(problem, read);
  const stream = await counting(problem, read);
  const losses = floatArray(stream.dtype, stream.rows);
  for await (const batch of stream.pass(checkOptions(read).signal)) {
    if (batch.rows > 0) losses.set(await LOSSES.promised(batch.problem, batch.options), batch.firstRow);
  }
  return scaled(losses, stream.shareOfTerms);
}
/** `perSampleLosses` on the calling thread. */
export function perSampleLossesSync<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: OperatorOptions,
): ResultArray<ArrayKind<F>>;
export function perSampleLossesSync(
  problem: GivenLossProblem,
  options?: OperatorOptions,
): ResultArray<FloatArray> {
  return LOSSES.sync(problem, LOSSES_OPTIONS.read(options));
}

/** Of `perSample`. */
export interface PerSampleOptions extends OperatorOptions {
  /** Rows whose gradients are made at a time; by default as many as have 4 million numbers, and at least one. */
  rows?: number;
}

const OPTIONS = new OptionNames<PerSampleOptions>({ ...NAMES, rows: true });

/** Some rows of the data, one after the other. */
export interface PerSample<F extends FloatArray = FloatArray> {
  /** The number of the first of them among all rows. */
  firstRow: number;
  /** [n], what each adds to the loss. */
  losses: ResultArray<F>;
  /** [n, P], the gradient of that for each. */
  gradients: Tensor<ResultArray<F>>;
}

/**
 * Goes through the rows once, some at a time, with the loss and the gradient of each; the gradients of all rows never sit
 * in memory at once. Losses sum to the loss but for its `l2` term, gradients to the gradient of that, as those of
 * `perSampleLosses` and `perSampleGradients`. Data may be a stream, which is gone through twice.
 */
export function perSample<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given> | StreamedProblem<F, Given>,
  options?: PerSampleOptions,
): AsyncGenerator<PerSample<ArrayKind<F>>>;
export async function* perSample(
  problem: GivenLossProblem | GivenStreamedProblem,
  options?: PerSampleOptions,
): AsyncGenerator<PerSample> {
  const { rows, ...read } = OPTIONS.read(options);
  const most = rows === undefined ? undefined : positive(rows, 'rows');
  if (!isStreamed(problem)) return yield* samplesOf(problem, read, most);
  const stream = await counting(problem, read);
  for await (const batch of stream.pass(checkOptions(read).signal)) {
    if (batch.rows === 0) continue;
    for await (const { firstRow, losses, gradients } of samplesOf(batch.problem, batch.options, most)) {
      scaled(losses, stream.shareOfTerms);
      scaled(gradients.data, stream.share);
      yield { firstRow: batch.firstRow + firstRow, losses, gradients };
    }
  }
}

/** Numbers of gradients that are made at a time where the caller does not say. */
const MOST_NUMBERS = 2 ** 22;

async function* samplesOf(
  problem: GivenLossProblem,
  options: BatchOptions,
  rows: number | undefined,
): AsyncGenerator<PerSample> {
  const { signal, threads } = checkOptions(options);
  const own = held(problem);
  const how = withOwnWeights(options);
  using op = await perSampleGradients(own, how);
  const all = await perSampleLosses(own, how);
  const [count, length] = op.shape;
  const step = rows ?? Math.max(1, Math.floor(MOST_NUMBERS / Math.max(1, length)));
  const { device, dtype, shape } = op;
  for (let begin = 0; begin < count; begin += step) {
    const end = Math.min(count, begin + step);
    const request = { operator: op.handle, begin, end, threads };
    const data = await run('operatorDenseRows', request, signal, () => ({ device, dtype, shape }));
    yield {
      firstRow: begin,
      losses: all.slice(begin, end),
      gradients: { data: data as ResultArray<FloatArray>, shape: [end - begin, length] },
    };
  }
}

/** The problem as it is now, which is read twice. */
function held(given: GivenLossProblem): GivenLossProblem {
  const problem = checkProblem(given);
  const params = copyOf(problem.model.toFlat(problem.params, 'params'));
  return { ...problem, params, ...copyOfBatch(problem) };
}

function counting(problem: GivenStreamedProblem, options: OperatorOptions): Promise<Stream> {
  return new Stream(problem, options).count((batch, signal) => counted(batch, signal, {}));
}

/** In place. */
function scaled<A extends FloatArray>(values: A, factor: number): A {
  if (factor !== 1) for (let i = 0; i < values.length; i++) values[i]! *= factor;
  return values;
}
