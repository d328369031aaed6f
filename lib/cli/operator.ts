/** Operators of a model by name, and the options that say which and of what: one table for all commands. */
import { type Command, Option } from 'commander';
import type { LinearOperator } from '../index.ts';
import * as library from '../index.ts';
import { MODEL_OPERATORS, type ModelOperator, type ModelOperatorRow } from '../operators/kinds.ts';
import { floatsOf, readArray } from './arrays.ts';
import { choiceOption, positiveInteger, requireOptions, wholeNumber } from './options.ts';
import { OwnOptions } from './own-options.ts';
import type { GivenProblem } from './problem.ts';
import {
  checkLoss,
  checkLossOptions,
  howOptions,
  LOSS_OPTIONS,
  modelOptions,
  type ProblemOptions,
  productOptions,
} from './problem-options.ts';

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
export interface OperatorOptions extends ProblemOptions {
  operator: string;
  weights?: string;
  center?: boolean;
  fisher?: string;
  approximation?: string;
  others?: string;
  per?: string;
  mcSamples?: number;
}

const isOfLoss = (kind: ModelOperator) => MODEL_OPERATORS[kind].ofLoss;
const isFisher = (kind: ModelOperator) => kind === 'fisher' || kind === 'empiricalFisher';
const isFactored = (kind: ModelOperator) => (MODEL_OPERATORS[kind] as ModelOperatorRow).factored === true;

const KINDS_WITH_L2 = KINDS.filter((kind) => (MODEL_OPERATORS[kind] as ModelOperatorRow).regularized);

const OWN = new OwnOptions<ModelOperator>('--operator', KINDS, operatorName, [
  { name: 'loss', of: isOfLoss, option: LOSS_OPTIONS.loss },
  { name: 'lossOption', of: isOfLoss, option: LOSS_OPTIONS.lossOption },
  { name: 'l2', of: (kind) => KINDS_WITH_L2.includes(kind), option: LOSS_OPTIONS.l2 },
  { name: 'target', of: isOfLoss, option: LOSS_OPTIONS.target },
  { name: 'reduction', of: isOfLoss, option: LOSS_OPTIONS.reduction },
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
]);

/** Adds to a command the options that say which operator it is about; of square ones only, where it solves something. */
export function operatorOptions(command: Command, { square = true } = {}): Command {
  const kinds = square ? SYMMETRIC : KINDS;
  modelOptions(command).addOption(
    choiceOption('--operator <name>', 'which curvature matrix', kinds.map(operatorName)).default('gramian'),
  );
  OWN.addTo(command)
    .option('--weights <file>', 'weights of the samples')
    .addOption(
      new Option(
        '--seed <n>',
        'of all that is drawn, by default 0; initializes layers without --params',
      ).argParser(wholeNumber),
    );
  return howOptions(command);
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
  OWN.check(options, kind);
  if (isOfLoss(kind)) checkLoss(options, `--operator ${options.operator} is that of`);
  checkLossOptions(options);
  return kind;
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
