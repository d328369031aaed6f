import { Command, Option } from 'commander';
import { plural } from '../words.ts';
import { describeError, Interruption, RunFailure, UsageError } from './failure.ts';
import { exitCodeOf } from './interrupt.ts';
import { isLayerList } from './model-file.ts';
import { amount, choiceOption, positiveInteger, requireOptions, wholeNumber } from './options.ts';
import { checkOutputFiles } from './output-file.ts';
import { parametersFile } from './parameters-file.ts';
import { checkLoss, checkLossOptions, howOptions, LOSS_OPTIONS, modelOptions } from './problem-options.ts';
import { withStatus } from './products.ts';
import { lossFacts, outputFiles, runFacts, showAfter } from './results.ts';
import { METHOD_NAMES, METHOD_OPTIONS } from './train/methods.ts';
import { acceptedSteps, describeTraining, type Outcome, trainingPage } from './train/report.ts';
import { type TrainOptions, train } from './train/run.ts';
import { writeJson, writeResult } from './write-file.ts';

interface TrainCommandOptions extends TrainOptions {
  json?: string;
  html?: string;
}

export function trainCommand(): Command {
  const command = new Command('train').description(
    'Train a model by steps that use the curvature of its loss, and write the parameters; after Ctrl-C or a failure those reached.',
  );
  modelOptions(command);
  for (const option of Object.values(LOSS_OPTIONS)) command.addOption(option());
  command.addOption(
    choiceOption('--method <name>', 'how to find steps', METHOD_NAMES).default('levenberg-marquardt'),
  );
  METHOD_OPTIONS.addTo(command)
    .option('--steps <n>', 'the most steps', positiveInteger, 100)
    .option(
      '--patience <n>',
      'steps in a row that may fail to make the loss smaller before it ends',
      positiveInteger,
      20,
    )
    .addOption(
      new Option(
        '--gradient-tolerance <number>',
        'ends where the norm of the gradient is at most this, by default 1e-7',
      ).argParser(amount),
    )
    .option(
      '--batch-size <rows>',
      'rows of each step, drawn anew in each pass over all; by default all',
      positiveInteger,
    )
    .addOption(
      new Option(
        '--seed <n>',
        'of the order of rows with --batch-size and of the targets drawn for --fisher mc, by default 0; initializes layers without --params',
      ).argParser(wholeNumber),
    );
  return howOptions(command)
    .option('--out <file>', 'where the parameters go, flat (.npy) or by name (.safetensors)')
    .option('--json <file>', 'write the results and a record of each step as JSON')
    .option('--html <file>', 'write a report')
    .action((options: TrainCommandOptions) => run(options, command));
}

function check(options: TrainCommandOptions, command: Command): void {
  requireOptions(command, ['model', 'x', 'out']);
  METHOD_OPTIONS.check(options, options.method);
  checkLoss(options, 'train needs');
  checkLossOptions(options);
  const {
    batchSize,
    gradientTolerance,
    params,
    model,
    seed,
    fisher,
    mcSamples,
    radius = 1,
    maxRadius,
  } = options;
  if (batchSize !== undefined && gradientTolerance !== undefined) {
    throw new UsageError('--gradient-tolerance is of all rows and cannot be used with --batch-size');
  }
  const draws = batchSize !== undefined || fisher === 'mc' || (params === undefined && isLayerList(model));
  if (seed !== undefined && !draws) {
    throw new UsageError('--seed is for --batch-size, --fisher mc, or layers without --params');
  }
  if (maxRadius !== undefined && radius > maxRadius) {
    throw new UsageError(`--max-radius ${maxRadius} is less than --radius, which is ${radius}`);
  }
  if (mcSamples !== undefined && fisher !== 'mc') throw new UsageError('--mc-samples is for --fisher mc');
}

async function run(options: TrainCommandOptions, command: Command): Promise<void> {
  check(options, command);
  const { out, json, html } = options;
  await checkOutputFiles([parametersFile('--out', out), ...outputFiles({ json, html })]);
  const { outcome, interrupt, error } = await withStatus(options.method, (say) => train(options, say));
  await showAfter(async () => {
    if (json !== undefined) await writeJson(json, results(options, outcome));
    if (html !== undefined) await writeResult(html, trainingPage(outcome));
  }, describeTraining(outcome));
  const { message, reason, records } = outcome;
  if (interrupt !== undefined) {
    throw new Interruption(`${message}: ${out} has the parameters so far`, exitCodeOf(interrupt));
  }
  if (error !== undefined) {
    const what = describeError(error, false);
    throw new RunFailure(`${what}; ${out} has the parameters of ${plural(records.length, 'step')}`, {
      cause: error,
    });
  }
  if (reason !== 'converged' && acceptedSteps(records) === 0) {
    throw new RunFailure(`nothing was trained: ${message}`);
  }
}

function results(options: TrainCommandOptions, outcome: Outcome): object {
  const { parameterCount, dtype, device, milliseconds, initialLoss, finalLoss, damping } = outcome;
  const { reason, message, records } = outcome;
  const { model, method, batchSize } = options;
  return {
    ...{ command: 'train', model, method, ...lossFacts(options) },
    ...(batchSize !== undefined && { batchSize }),
    ...{ parameterCount, dtype, device, ...runFacts(options, milliseconds) },
    ...{ initialLoss, finalLoss, steps: records.length, accepted: acceptedSteps(records), damping },
    ...{ converged: reason === 'converged', reason, message, records },
  };
}
