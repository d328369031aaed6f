/** Operators of a model by name, and the options that say which and of what: one table for all commands. */
import { type Command, Option } from 'commander';
import type { FloatArray, LinearOperator, Model, ParameterVector, Tensor } from '../index.ts';
import * as library from '../index.ts';
import { MODEL_OPERATORS, type ModelOperator, type ModelOperatorRow } from '../operators/kinds.ts';
import { LOSSES } from '../problem/losses.ts';
import { floatsOf, readArray, readFloats } from './arrays.ts';
import { UsageError } from './failure.ts';
import { readModel } from './model-file.ts';
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
  positiveInteger,
  requireOptions,
  threadsOption,
  wholeNumber,
} from './options.ts';

const KINDS = Object.keys(MODEL_OPERATORS) as ModelOperator[];
/** Those that have real eigenvalues. */
const SYMMETRIC = KINDS.filter((kind) => {
  const { rows, columns, antisymmetric }: ModelOperatorRow = MODEL_OPERATORS[kind];
  return rows === columns && !antisymmetric;
});

/** `gauss-newton` for `gaussNewton`. */
export const operatorName = (kind: ModelOperator) =>
  kind.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

const KIND_OF = new Map(KINDS.map((kind) => [operatorName(kind), kind]));

/** Checked by the compiler to have one for each row of the table. */
const FACTORIES: Readonly<
  Record<ModelOperator, (problem: never, options: never) => Promise<LinearOperator>>
> = library;

/** What `operatorOptions` adds to a command. */
export interface OperatorOptions {
  model: string;
  trusted?: boolean;
  x: string[];
  params?: string;
  dtype?: Dtype;
  operator: string;
  loss?: string;
  lossOption?: NamedValues;
  l2?: number;
  target?: string;
  reduction?: string;
  weights?: string;
  center?: boolean;
  fisher?: string;
  approximation?: string;
  others?: string;
  per?: string;
  mcSamples?: number;
  seed?: number;
  device: string;
  engine: library.Engine;
  threads?: number;
  chunkSize?: number;
}

/** Options that not all operators have. */
interface OwnOption {
  name: keyof OperatorOptions;
  /** Whose they are. */
  of: (kind: ModelOperator) => boolean;
  option: () => Option;
}

const isOfLoss = (kind: ModelOperator) => MODEL_OPERATORS[kind].ofLoss;
const isFisher = (kind: ModelOperator) => kind === 'fisher' || kind === 'empiricalFisher';
const isFactored = (kind: ModelOperator) => (MODEL_OPERATORS[kind] as ModelOperatorRow).factored === true;

const KINDS_WITH_L2 = KINDS.filter((kind) => (MODEL_OPERATORS[kind] as ModelOperatorRow).regularized);
const LOSS_NAMES = Object.keys(LOSSES);
const isModelFile = (text: string) => /\.(pt2|pt)$/i.test(text);

const OWN: readonly OwnOption[] = [
  {
    name: 'loss',
    of: isOfLoss,
    option: () =>
      choiceOption(
        '--loss <name>',
        "compares outputs and targets, 'output' where the outputs are the loss; or a model of both (.pt2)",
        LOSS_NAMES,
      ).argParser((text) => (isModelFile(text) ? text : oneOf(LOSS_NAMES)(text))),
  },
  {
    name: 'lossOption',
    of: isOfLoss,
    option: () =>
      new Option('--loss-option <name=value>', 'of the loss, as in PyTorch: label-smoothing=0.1').argParser(
        namedValue,
      ),
  },
  {
    name: 'l2',
    of: (kind) => KINDS_WITH_L2.includes(kind),
    option: () => new Option('--l2 <number>', 'λ of ½ λ Σ θ², added to the loss').argParser(amount),
  },
  {
    name: 'target',
    of: isOfLoss,
    option: () => new Option('--target <file>', 'what the outputs should be, or class numbers'),
  },
  {
    name: 'reduction',
    of: isOfLoss,
    option: () =>
      choiceOption('--reduction <name>', 'of the terms of the loss, by default mean', ['mean', 'sum']),
  },
  {
    name: 'center',
    of: (kind) => !isOfLoss(kind) || isFisher(kind),
    option: () => new Option('--center', 'subtract the mean over the samples'),
  },
  {
    name: 'fisher',
    of: isFactored,
    option: () =>
      choiceOption('--fisher <name>', 'whose blocks are approximated, by default type2', [
        'type2',
        'mc',
        'empirical',
      ]),
  },
  {
    name: 'approximation',
    of: isFactored,
    option: () =>
      choiceOption('--approximation <name>', 'of positions that share a weight, by default expand', [
        'expand',
        'reduce',
      ]),
  },
  {
    name: 'others',
    of: isFactored,
    option: () =>
      choiceOption('--others <name>', 'parameters of no layer, by default refuse', [
        'refuse',
        'diagonal',
        'block',
      ]),
  },
  {
    name: 'per',
    of: (kind) => isFisher(kind) || isFactored(kind),
    option: () =>
      choiceOption('--per <what>', 'what has an outer product of its own, by default datum', [
        'datum',
        'row',
      ]),
  },
  {
    name: 'mcSamples',
    of: (kind) => kind === 'fisher' || isFactored(kind),
    option: () =>
      new Option('--mc-samples <n>', 'targets drawn for each datum, by default 1').argParser(positiveInteger),
  },
];

const namesOf = (of: OwnOption['of']) => KINDS.filter(of).map(operatorName).join(', ');

/** Adds to a command the options that say which operator it is about; of square ones only, where it solves something. */
export function operatorOptions(command: Command, { square = true } = {}): Command {
  const kinds = square ? SYMMETRIC : KINDS;
  command
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
    )
    .addOption(
      choiceOption('--operator <name>', 'which curvature matrix', kinds.map(operatorName)).default('gramian'),
    );
  for (const { option, of } of OWN) {
    const own = option();
    own.description += ` (of ${namesOf(of)})`;
    command.addOption(own);
  }
  return command
    .option('--weights <file>', 'weights of the samples')
    .addOption(
      new Option(
        '--seed <n>',
        'of all that is drawn, by default 0; initializes layers without --params',
      ).argParser(wholeNumber),
    )
    .addOption(deviceOption())
    .addOption(engineOption())
    .addOption(threadsOption())
    .addOption(chunkSizeOption());
}

/**
 * The operator that is meant, from options that fit each other. `more` are those that the command needs besides.
 *
 * @throws UsageError where they do not
 */
export function checkOperatorOptions(
  options: OperatorOptions,
  command: Command,
  more: readonly string[] = [],
): ModelOperator {
  requireOptions(command, ['model', 'x', ...more]);
  const kind = KIND_OF.get(options.operator)!;
  for (const { name, of, option } of OWN) {
    if (options[name] === undefined || of(kind)) continue;
    const { long } = option();
    throw new UsageError(`${long} is not for --operator ${options.operator}, but for ${namesOf(of)}`);
  }
  const { loss = '', lossOption, target } = options;
  // A loss that is a model may take the outputs alone.
  const isAlone = loss === 'output' || isModelFile(loss);
  if (isOfLoss(kind) && (loss === '' || (target === undefined && !isAlone))) {
    throw new UsageError(`--operator ${options.operator} is that of a loss: give --loss and --target`);
  }
  if (lossOption !== undefined && isModelFile(loss)) {
    throw new UsageError('--loss-option is not for a loss that is a model');
  }
  return kind;
}

/** A model with its data, as factories take it. */
export interface GivenProblem {
  model: Model;
  params: ParameterVector;
  x: Tensor | Tensor[];
  target?: Tensor;
  loss?: string | object;
  l2?: number;
  reduction?: string;
}

/** Reads what the options name; layers without parameters of their own get them in the precision of the inputs. */
export async function readProblem(options: OperatorOptions): Promise<GivenProblem> {
  const model = await readModel(options.model, options.trusted ?? false);
  const inputs = await Promise.all(options.x.map(readArray));
  const params = await parametersOf(model, inputs, options);
  const { loss, l2, reduction, target } = options;
  return {
    ...{ model, params, x: inputs.length === 1 ? inputs[0]! : inputs },
    ...(loss !== undefined && { loss: await readLoss(loss, options) }),
    ...(l2 !== undefined && { l2 }),
    ...(reduction !== undefined && { reduction }),
    ...(target !== undefined && { target: await readArray(target) }),
  };
}

/** A loss by its name, with its options where there are some, or as a model. */
async function readLoss(loss: string, { lossOption, trusted = false }: OperatorOptions) {
  if (isModelFile(loss)) return readModel(loss, trusted);
  if (lossOption === undefined) return loss;
  const values = Object.entries(lossOption).map(
    async ([name, value]) => [name, await optionValue(value)] as const,
  );
  return { name: loss, ...Object.fromEntries(await Promise.all(values)) };
}

/** `true`, a number, or the array in a file. */
async function optionValue(text: string): Promise<boolean | number | FloatArray | Tensor> {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text.trim() !== '' && !Number.isNaN(Number(text))) return Number(text);
  const array = await readArray(text);
  return array.shape.length === 1 ? floatsOf(array, text) : array;
}

async function parametersOf(
  model: Model,
  inputs: readonly Tensor[],
  { params, dtype, seed }: OperatorOptions,
): Promise<ParameterVector> {
  if (params !== undefined) {
    const given = await readFloats(params);
    return 'record' in given ? given.record : given.data;
  }
  if (model.initialParameters !== undefined) {
    return dtype === undefined ? model.initialParameters : model.init({ dtype });
  }
  if (seed === undefined) {
    throw new UsageError(
      'a layer list carries no weights: give --params FILE, or --seed N to initialize them',
    );
  }
  const isDouble = inputs.some(({ data }) => data instanceof Float64Array);
  return model.init({ seed, dtype: dtype ?? (isDouble ? 'float64' : 'float32') });
}

/** The options that products and operators share. */
export function productOptions({ device, engine, threads, chunkSize }: OperatorOptions) {
  return {
    ...{ device, engine },
    ...(threads !== undefined && { threads }),
    ...(chunkSize !== undefined && { chunkSize }),
  };
}

export async function makeOperator(
  kind: ModelOperator,
  problem: GivenProblem,
  options: OperatorOptions,
): Promise<LinearOperator> {
  const { weights, center, fisher, approximation, others, per, mcSamples, seed } = options;
  const given = {
    ...productOptions(options),
    ...(weights !== undefined && { weights: floatsOf(await readArray(weights), weights) }),
    ...(center !== undefined && { center }),
    ...(fisher !== undefined && { fisher }),
    ...(approximation !== undefined && { approximation }),
    ...(others !== undefined && { others }),
    ...(per !== undefined && { per }),
    ...(mcSamples !== undefined && { mcSamples }),
    ...(seed !== undefined && (kind === 'fisher' || fisher === 'mc') && { seed }),
  };
  return FACTORIES[kind](problem as never, given as never);
}
