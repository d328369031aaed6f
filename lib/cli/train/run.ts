/** Trains what the options name, and writes the parameters that it came to. */
import { bar } from '../../../scripts/setup/status-line.mjs';
import { dtypeOf } from '../../arrays.ts';
import { bind, type FloatArray, lossAndGradient } from '../../index.ts';
import { norm } from '../../optim/vectors.ts';
import { Interruption, RunFailure } from '../failure.ts';
import { exitCodeOf, type Interrupt, interruptible } from '../interrupt.ts';
import { writeParameters } from '../parameters-file.ts';
import { readProblem } from '../problem.ts';
import { type ProblemOptions, productOptions } from '../problem-options.ts';
import { figure } from '../results.ts';
import { type AnyLossProblem, type MethodOptions, makeOptimizer } from './methods.ts';
import { minibatches } from './minibatches.ts';
import type { Outcome } from './report.ts';
import { lossAfter, type TimedRecord, type Training, takeSteps } from './steps.ts';

export interface TrainOptions extends ProblemOptions, MethodOptions {
  loss: string;
  steps: number;
  patience: number;
  gradientTolerance?: number;
  batchSize?: number;
  out: string;
}

/** Of all data; as of PyTorch's L-BFGS. */
const GRADIENT_TOLERANCE = 1e-7;

/**
 * @param say gets words that go before the status line's
 * @throws RunFailure where the loss is not finite at the start; Interruption where it was ended before the first step was done
 */
export async function train(
  options: TrainOptions,
  say: (how: string) => void,
): Promise<{ outcome: Outcome; interrupt: Interrupt | undefined }> {
  const { method, steps, patience, batchSize, seed = 0, device, out } = options;
  const problem = await readProblem(options);
  const { model } = problem;
  using bound = await bind(problem as AnyLossProblem, { device });
  const lossAt = async (params: AnyLossProblem['params']) => {
    const { loss, gradient } = await lossAndGradient(bound.at(params), productOptions(options));
    return { loss, gradientNorm: norm(gradient) };
  };
  const first = await lossAt(problem.params);
  if (!Number.isFinite(first.loss)) throw new RunFailure(`the loss at the start is ${first.loss}`);
  const data = batchSize === undefined ? undefined : minibatches(problem, batchSize, seed);
  const optimizer = makeOptimizer(bound.at(problem.params), options);
  const sayLoss = (step: number, loss: number) =>
    say(`${bar(step, steps)} ${step}/${steps} steps, loss ${figure(loss)}, `);
  sayLoss(0, first.loss);
  const onStep = (record: TimedRecord) => sayLoss(record.step, lossAfter(record));
  const gradientTolerance =
    data === undefined ? (options.gradientTolerance ?? GRADIENT_TOLERANCE) : undefined;
  const given = { steps, patience, gradientTolerance, gradientNorm: first.gradientNorm, data, onStep };
  const start = performance.now();
  const { result, interrupt } = await interruptible((signal) => takeSteps(optimizer, { ...given, signal }));
  const milliseconds = performance.now() - start;
  const { records, reason } = result;
  const last = records.at(-1);
  if (interrupt !== undefined && last === undefined) {
    throw new Interruption(
      'interrupted before the first step was done: nothing is written',
      exitCodeOf(interrupt),
    );
  }
  const params: FloatArray = optimizer.params;
  await writeParameters(out, model, params);
  const whole = data === undefined;
  const finalLoss = last === undefined ? first.loss : whole ? lossAfter(last) : (await lossAt(params)).loss;
  const outcome = {
    ...{ method, subject: `${options.loss} of ${options.model}`, parameterCount: model.parameterCount },
    ...{ dtype: dtypeOf(params), device, records, reason, message: messageOf(result, options) },
    damping: optimizer.damping,
    ...{ initialLoss: first.loss, finalLoss, whole, milliseconds },
  };
  return { outcome, interrupt };
}

function messageOf({ records, reason }: Training, { patience }: TrainOptions): string {
  const moved = records.some(({ accepted }) => accepted);
  const messages = {
    steps: moved ? 'all steps were done' : 'no step made the loss smaller',
    converged: 'converged: the gradient is small enough',
    noStepAccepted: `ended, as none of the last ${patience} steps made the loss smaller`,
    interrupted: `interrupted after ${records.length} steps`,
  };
  return messages[reason];
}
