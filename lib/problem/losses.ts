/** The losses and their options, by PyTorch's names in camel case. Each is a row of native/core/losses, too. */
import type { RawLossOption } from '../addon/operators.ts';
import { type DType, describe, type FloatArray, type ParameterVector, type Tensor } from '../arrays.ts';
import { checkFinite, checkFloats, checkOneOf, checkTensor, checkVector } from '../check.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { lengthOf } from '../foreign.ts';
import { Model } from '../model/model.ts';
import { Names, record } from '../options.ts';
import { nearestName } from '../spelling.ts';

/** A loss is a row: what its options may be, each a function that checks it. What they default to, native code knows. */
export const LOSSES = {
  /** Squared error, as `torch.nn.MSELoss`. */
  mse: {},
  /**
   * As `torch.nn.CrossEntropyLoss`, of logits along the second axis of the outputs. Targets are class indices (an
   * `Int32Array` or a `BigInt64Array` of [batch, …]) or class probabilities (of the outputs' shape and precision).
   */
  cross_entropy: {
    /** Of each class, at least 0. With class indices, the mean divides by the sum of those of the targets. */
    weight: vector,
    /** A class index whose targets count for nothing; -100 by default. */
    ignoreIndex: whole,
    /** How much of each target is spread over all classes, from 0 (the default) to 1. */
    labelSmoothing: finite,
  },
  /** As `torch.nn.BCEWithLogitsLoss`. */
  bce_with_logits: {
    /** Multiplies the terms of the loss; broadcast to the outputs, at least 0. The mean still divides by their number. */
    weight: numbers,
    /** Multiplies the terms of positive targets; broadcast to the outputs, at least 0. */
    posWeight: numbers,
  },
  /** As `torch.nn.HuberLoss`. */
  huber: {
    /** Where the parabola ends; 1 by default. */
    delta: finite,
  },
  /** As `torch.nn.SmoothL1Loss`. */
  smooth_l1: {
    /** Where the parabola ends; 1 by default, and 0 for `l1`. */
    beta: finite,
  },
  /** Absolute error, as `torch.nn.L1Loss`. */
  l1: {},
  /** As `torch.nn.PoissonNLLLoss`. */
  poisson_nll: {
    /** Whether the outputs are the logarithms of the rates (the default), or the rates. */
    logInput: flag,
    /** Whether Stirling's approximation of log t! is added; not by default. */
    full: flag,
    /** Added to rates whose logarithm is taken; 1e-8 by default. */
    eps: finite,
  },
  /**
   * As `torch.nn.GaussianNLLLoss`. Without `variance`, the outputs are [batch, …, 2C]: along the last axis C means and
   * then their C variances; the target is [batch, …, C].
   */
  gaussian_nll: {
    /** Variances that are known, at least 0, broadcast to the outputs, which are then the means alone. */
    variance: numberOrNumbers,
    /** Whether ½ log 2π is added; not by default. */
    full: flag,
    /** The least variance; 1e-6 by default. */
    eps: finite,
  },
  /** As `torch.nn.KLDivLoss`, of log-probabilities; the targets are probabilities. */
  kl_div: {
    /** Whether the targets are log-probabilities, too; not by default. */
    logTarget: flag,
  },
  /** The outputs themselves, one for each row; without a target. It has no `gaussNewton` and no `fisher`. */
  output: {},
} as const satisfies Record<string, Record<string, Check>>;

/** Losses, with PyTorch's names and meanings; `'output'` where the outputs of the model are the losses of the rows. */
export type Loss = keyof typeof LOSSES;

/**
 * Any loss: a model that maps the outputs, [batch, …], and the target to the loss of each row, [batch]. A mean divides by
 * the number of rows. A model that takes the outputs alone has no target.
 */
export interface LossModel {
  model: Model;
  /** Of that model; those of its file by default. */
  params?: ParameterVector;
  /**
   * Draws targets for `fisher`: a model, exported with its parameters, that maps the outputs and uniform numbers on (0, 1)
   * of their shape to a target from the distribution whose negative log-likelihood the loss is.
   */
  sampler?: Model;
}

/** A loss with PyTorch's options: `{ name: 'cross_entropy', weight, ignoreIndex, labelSmoothing }`. */
export type LossWithOptions<Name extends Loss = Loss> = {
  [Each in Name]: { name: Each } & OptionsOf<(typeof LOSSES)[Each]>;
}[Name];

type OptionsOf<Row> = { -readonly [Option in keyof Row]?: ValueOf<Row[Option]> };
type ValueOf<Checked> = Checked extends (value: infer Value, name: string, dtype: DType) => RawLossOption
  ? Value
  : never;
type Check = (value: never, name: string, dtype: DType) => RawLossOption;

function finite(value: number, name: string): number {
  return checkFinite(value, name);
}

function whole(value: number, name: string): number {
  if (!Number.isSafeInteger(checkFinite(value, name)))
    throw outOfRange(`${name} should be a whole number, got ${value}`);
  return value;
}

function flag(value: boolean, name: string): boolean {
  if (typeof value !== 'boolean') throw wrongType(`${name} should be true or false, got ${describe(value)}`);
  return value;
}

function vector(value: FloatArray, name: string, dtype: DType): Tensor {
  const data = checkVector(value, name, lengthOf(checkFloats(value, name)), dtype);
  return { data, shape: [data.length] };
}

/** A flat array is a tensor of one axis. */
function numbers(value: FloatArray | Tensor, name: string, dtype: DType): Tensor {
  if (ArrayBuffer.isView(value)) return vector(value, name, dtype);
  const tensor = checkTensor(value, name, dtype);
  checkFloats(tensor.data, `${name}.data`);
  return tensor;
}

function numberOrNumbers(value: number | FloatArray | Tensor, name: string, dtype: DType): number | Tensor {
  return typeof value === 'number' ? checkFinite(value, name) : numbers(value, name, dtype);
}

const KNOWN = Object.keys(LOSSES) as Loss[];

const OPTIONS: ReadonlyMap<string, Names<{ name: string }>> = new Map(
  KNOWN.map((loss) => {
    const names = {
      name: true,
      ...Object.fromEntries(Object.keys(LOSSES[loss]).map((name) => [name, true])),
    };
    return [loss, new Names<{ name: string }>('problem.loss', names as { name: true })];
  }),
);

const LOSS_MODEL = new Names<LossModel>('problem.loss', { model: true, params: true, sampler: true });

function readLossModel(given: unknown, dtype: DType) {
  const { model, params, sampler } = LOSS_MODEL.read(given);
  for (const [name, each] of Object.entries({ model, ...(sampler === undefined ? {} : { sampler }) })) {
    if (!Model.is(each)) throw wrongType(`problem.loss.${name} should be a Model, got ${describe(each)}`);
  }
  return {
    lossProgram: model.called(params, 'problem.loss', dtype),
    ...(sampler && { sampler: sampler.called(undefined, 'problem.loss.sampler', dtype) }),
  };
}

/** PyTorch's names for what is called otherwise here, in small letters and without `loss`. */
const SYNONYMS: Readonly<Record<string, string>> = {
  bce: "'bce_with_logits', of a model without its last sigmoid",
  binary_cross_entropy: "'bce_with_logits', of a model without its last sigmoid",
  binary_cross_entropy_with_logits: "'bce_with_logits'",
  nll: "'cross_entropy', of a model without its last log_softmax",
};

function named(given: unknown, name: string): Loss {
  return checkOneOf(given, KNOWN, name, (other) => {
    const bare = other.toLowerCase().replace(/_?loss$/, '');
    const synonym = Object.hasOwn(SYNONYMS, bare) ? SYNONYMS[bare] : undefined;
    const same = KNOWN.find((each) => each.replaceAll('_', '') === bare.replaceAll('_', ''));
    const near = same ?? (synonym === undefined ? nearestName(other, KNOWN) : undefined);
    if (near !== undefined) return `did you mean '${near}'?`;
    if (synonym !== undefined) return `write ${synonym}`;
    return 'any other loss is a model of (y, target) that gives one number for each row: loss: lossModel';
  });
}

/** A checked copy of the target: of a loss that is a model, in a kind of array that this takes. */
export function checkTarget(target: unknown, loss: unknown, dtype: DType): Tensor {
  const name = 'problem.target';
  const model = Model.is(loss) ? loss : (Object(loss) as Partial<LossModel>).model;
  return Model.is(model) ? model.argument(target, 1, name, dtype) : checkTensor(target, name, dtype);
}

/** The part of the addon's request that says which loss, from its name, a record with its options, or a model. */
export function readLoss(given: unknown, dtype: DType) {
  if (Model.is(given)) return readLossModel({ model: given }, dtype);
  if (typeof given !== 'object' || given === null) return { loss: named(given, 'problem.loss') };
  const { name, reduction } = record(given, 'problem.loss') as { name?: unknown; reduction?: unknown };
  if (name === undefined && 'model' in given) return readLossModel(given, dtype);
  const loss = named(name, 'problem.loss.name');
  if (reduction !== undefined) {
    throw wrongType(
      `reduction is an option of the problem, beside the loss: { loss: '${loss}', reduction: ${describe(reduction)} }`,
    );
  }
  const { name: _, ...options } = OPTIONS.get(loss)!.read(given);
  const checks = LOSSES[loss] as Record<string, Check>;
  const lossOptions = Object.fromEntries(
    Object.entries(options).map(([option, value]) => [
      option,
      checks[option]!(value as never, `problem.loss.${option}`, dtype),
    ]),
  );
  return { loss, lossOptions };
}
