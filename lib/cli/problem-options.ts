/** Options that say which model, which data, which loss, and how to compute: one table for all commands. */
import { type Command, Option } from 'commander';
import type { Engine } from '../index.ts';
import { LOSSES } from '../problem/losses.ts';
import { UsageError } from './failure.ts';
import {
  amount,
  choiceOption,
  chunkSizeOption,
  collected,
  type Dtype,
  deviceOption,
  dtypeOption,
  engineOption,
  type NamedValues,
  namedValue,
  oneOf,
  threadsOption,
} from './options.ts';

/** What `modelOptions` adds to a command. */
export interface ModelOptions {
  model: string;
  trusted?: boolean;
  x: string[];
  params?: string;
  dtype?: Dtype;
}

/** What `LOSS_OPTIONS` are. */
export interface LossOptions {
  loss?: string;
  lossOption?: NamedValues;
  l2?: number;
  target?: string;
  reduction?: string;
}

/** What `howOptions` adds to a command. */
export interface HowOptions {
  device: string;
  engine: Engine;
  threads?: number;
  chunkSize?: number;
}

export interface ProblemOptions extends ModelOptions, LossOptions, HowOptions {
  /** Initializes a layer list. */
  seed?: number;
}

export function modelOptions(command: Command): Command {
  return command
    .option(
      '--model <file>',
      'an exported model (.pt2), TorchScript (.pt), or layers: {"layers": [["linear", 4, 64], …]} (.json)',
    )
    .option('--trusted', 'the model is TorchScript, which is code, from someone you trust')
    .option(
      '--x <file>',
      'inputs, first axis the batch (.npy, or FILE.safetensors:NAME as for all arrays); again for each further input',
      collected,
    )
    .option(
      '--params <file>',
      "parameters, flat (.npy) or by name (.safetensors); by default the model file's own",
    )
    .addOption(
      dtypeOption("precision of the model file's parameters, or of those initialized").conflicts('params'),
    );
}

const LOSS_NAMES = Object.keys(LOSSES);
/** Whether a loss is a model. */
export const isModelFile = (text: string) => /\.(pt2|pt)$/i.test(text);

export const LOSS_OPTIONS: Readonly<Record<keyof LossOptions, () => Option>> = {
  loss: () =>
    choiceOption(
      '--loss <name>',
      "compares outputs and targets, 'output' where the outputs are the loss; or a model of both (.pt2)",
      LOSS_NAMES,
    ).argParser((text) => (isModelFile(text) ? text : oneOf(LOSS_NAMES)(text))),
  lossOption: () =>
    new Option('--loss-option <name=value>', 'of the loss, as in PyTorch: label-smoothing=0.1').argParser(
      namedValue,
    ),
  l2: () => new Option('--l2 <number>', 'λ of ½ λ Σ θ², added to the loss').argParser(amount),
  target: () => new Option('--target <file>', 'what the outputs should be, or class numbers'),
  reduction: () =>
    choiceOption('--reduction <name>', 'of the terms of the loss, by default mean', ['mean', 'sum']),
};

/** How products are computed. */
export function howOptions(command: Command): Command {
  return command
    .addOption(deviceOption())
    .addOption(engineOption())
    .addOption(threadsOption())
    .addOption(chunkSizeOption());
}

/**
 * Checks that the options name a loss and what it needs.
 *
 * @param what needs one, as the message calls it
 * @throws UsageError where they do not
 */
export function checkLoss(options: LossOptions, what: string): void {
  const { loss = '', target } = options;
  // A loss that is a model may take the outputs alone.
  const isAlone = loss === 'output' || isModelFile(loss);
  if (loss === '' || (target === undefined && !isAlone)) {
    throw new UsageError(`${what} a loss: give --loss and --target`);
  }
}

/** @throws UsageError where options of a loss do not go together */
export function checkLossOptions({ loss = '', lossOption }: LossOptions): void {
  if (lossOption !== undefined && isModelFile(loss)) {
    throw new UsageError('--loss-option is not for a loss that is a model');
  }
}

/** The same for functions of the library. */
export function productOptions({ device, engine, threads, chunkSize }: HowOptions) {
  return {
    ...{ device, engine },
    ...(threads !== undefined && { threads }),
    ...(chunkSize !== undefined && { chunkSize }),
  };
}
