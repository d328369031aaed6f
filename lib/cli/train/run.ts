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
 * @returns what it came to, and what ended it before its time: who interrupted it, or an error
 * @throws RunFailure where the loss is not finite at the start; Interruption where it was ended before the first step was done,
 * or the error that ended it before
 */
export async function train(
  options: TrainOptions,
  say: (how: string) => void,
): Promise<{ outcome: Outcome; interrupt: Interrupt | undefined; error: unknown }> {
  const { method, batchSize, seed = 0, device } = options;
  const problem = await readProblem(options);
  const { model } = problem;
  using bound = await bind(problem as AnyLossProblem, { device });
  const lossAt = async (params: AnyLossProblem['params']) => {
    const { loss, gradient } = await lossAndGradient(bound.at(params), productOptions(options));
    return { loss, gradientNorm: norm(gradient) };
  };
  const { loss: initialLoss, gradientNorm } = await lossAt(problem.params);
  if (!Number.isFinite(initialLoss)) throw new RunFailure(`the loss at the start is ${initialLoss}`);
  const optimizer = makeOptimizer(bound.at(problem.params), options);
  const data = batchSize === undefined ? undefined : minibatches(problem, batchSize, seed);
  const whole = data === undefined;

  const start = performance.now();
  const { result, interrupt } = await interruptible((signal) => {
    // What it shows says that Ctrl-C is heard.
    const onStep = stepTeller(options, initialLoss, say);
    return takeSteps(optimizer, { ...limitsOf(options), gradientNorm, data, signal, onStep });
  });
  const milliseconds = performance.now() - start;
  const { records, reason } = result;
  const last = records.at(-1);
  if (reason === 'interrupted' && last === undefined) {
    const message = 'interrupted before the first step was done: nothing is written';
    throw new Interruption(message, exitCodeOf(interrupt!));
  }
  if (reason === 'failed' && last === undefined) throw result.error;
  const params: FloatArray = optimizer.params;
  await writeParameters(options.out, model, params);
  const reached = last === undefined ? initialLoss : lossAfter(last);
  // What is written stays of use where this fails.
  let { error } = result;
  const finalLoss = whole
    ? reached
    : await lossAt(params).then(
        ({ loss }) => loss,
        (failure: unknown) => {
          error ??= failure;
          return Number.NaN;
        },
      );
  const outcome = {
    ...{ method, subject: `${options.loss} of ${options.model}`, parameterCount: model.parameterCount },
    ...{ dtype: dtypeOf(params), device, records, reason, message: messageOf(result, options) },
    ...{ damping: optimizer.damping, initialLoss, finalLoss },
    ...{ whole, milliseconds },
  };
  return { outcome, interrupt: reason === 'interrupted' ? interrupt : undefined, error };
}

/** When to end. The norm of a gradient of some rows says nothing of that. */
function limitsOf({ steps, patience, batchSize, gradientTolerance = GRADIENT_TOLERANCE }: TrainOptions) {
  return { steps, patience, gradientTolerance: batchSize === undefined ? gradientTolerance : undefined };
}

/** Says at once where it begins, and then what each step came to. */
function stepTeller({ steps }: TrainOptions, initialLoss: number, say: (how: string) => void) {
  const tell = (step: number, loss: number) =>
    say(`${bar(step, steps)} ${step}/${steps} steps, loss ${figure(loss)}, `);
  tell(0, initialLoss);
  return (record: TimedRecord) => tell(record.step, lossAfter(record));
}

function messageOf({ records, reason }: Training, { patience }: TrainOptions): string {
  const moved = records.some(({ accepted }) => accepted);
  const messages = {
    steps: moved ? 'all steps were done' : 'no step made the loss smaller',
    converged: 'converged: the gradient is small enough',
    noStepAccepted: `ended, as none of the last ${patience} steps made the loss smaller`,
    interrupted: `interrupted after ${records.length} steps`,
    failed: `failed after ${records.length} steps`,
  };
  return messages[reason];
}
