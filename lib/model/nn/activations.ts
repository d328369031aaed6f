/** Element-wise functions. A new one is a row here. */
import { outOfRange } from '../../errors.ts';
import { noOptions, OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { constant } from './initializers.ts';
import type { Layer } from './layer.ts';
import type { CallArgument } from './program-builder.ts';

function elementwise(kind: string, target: string, ...args: readonly CallArgument[]): Layer {
  return { kind, takes: 'any', emit: (scope, x) => scope.call(target, x, ...args) };
}

function simple(kind: string, target: string): () => Layer {
  return (...rest: readonly unknown[]) => {
    noOptions(rest, kind);
    return elementwise(kind, target);
  };
}

/** The hyperbolic tangent. */
export const tanh: () => Layer = simple('tanh', 'aten::tanh');
/** max(x, 0) */
export const relu: () => Layer = simple('relu', 'aten::relu');
/** x·σ(x) */
export const silu: () => Layer = simple('silu', 'aten::silu');
/** x·tanh(log(1 + exp(x))) */
export const mish: () => Layer = simple('mish', 'aten::mish');
/** x·min(max(x + 3, 0), 6)/6 */
export const hardswish: () => Layer = simple('hardswish', 'aten::hardswish');
/** σ(x) = 1/(1 + exp(−x)) */
export const sigmoid: () => Layer = simple('sigmoid', 'aten::sigmoid');

export interface GeluOptions {
  approximate?: 'none' | 'tanh';
}
const GELU = new OptionNames<GeluOptions>({ approximate: true }, 'the options of gelu');

/** x·Φ(x), or its approximation by tanh. */
export function gelu(options?: GeluOptions): Layer {
  const { approximate = 'none' } = GELU.read(options);
  check.oneOf(approximate, ['none', 'tanh'], 'gelu: approximate');
  // The only argument of ATen's gelu after x is keyword-only; it comes second in its schema all the same.
  return elementwise('gelu', 'aten::gelu', approximate);
}

export interface SoftplusOptions {
  beta?: number;
  threshold?: number;
}
const SOFTPLUS = new OptionNames<SoftplusOptions>({ beta: true, threshold: true }, 'the options of softplus');

/** log(1 + exp(beta·x))/beta; x itself where beta·x is above the threshold. */
export function softplus(options?: SoftplusOptions): Layer {
  const { beta = 1, threshold = 20 } = SOFTPLUS.read(options);
  return elementwise(
    'softplus',
    'aten::softplus',
    check.finite(beta, 'softplus: beta'),
    check.finite(threshold, 'softplus: threshold'),
  );
}

export interface EluOptions {
  alpha?: number;
}
const ELU = new OptionNames<EluOptions>({ alpha: true }, 'the options of elu');

/** x where positive, alpha·(exp(x) − 1) elsewhere. */
export function elu(options?: EluOptions): Layer {
  const { alpha = 1 } = ELU.read(options);
  return elementwise('elu', 'aten::elu', check.finite(alpha, 'elu: alpha'));
}

export interface LeakyReluOptions {
  negativeSlope?: number;
}
const LEAKY_RELU = new OptionNames<LeakyReluOptions>({ negativeSlope: true }, 'the options of leakyRelu');

/** x where positive, negativeSlope·x elsewhere. */
export function leakyRelu(options?: LeakyReluOptions): Layer {
  const { negativeSlope = 0.01 } = LEAKY_RELU.read(options);
  return elementwise(
    'leakyRelu',
    'aten::leaky_relu',
    check.finite(negativeSlope, 'leakyRelu: negativeSlope'),
  );
}

export interface PreluOptions {
  /** Slopes there are: one, or one for each channel (axis 1). */
  parameters?: number;
  /** What they begin with; 0.25 by default. */
  init?: number;
}
const PRELU = new OptionNames<PreluOptions>({ parameters: true, init: true }, 'the options of prelu');

/** x where positive, `weight`·x elsewhere. */
export function prelu(options?: PreluOptions): Layer {
  const { parameters = 1, init = 0.25 } = PRELU.read(options);
  check.size(parameters, 'prelu: parameters');
  check.finite(init, 'prelu: init');
  return {
    kind: 'prelu',
    takes: parameters === 1 ? 'any' : { shape: [parameters, '...'] },
    emit: (scope, x) => scope.call('aten::prelu', x, scope.parameter('weight', [parameters], constant(init))),
  };
}

export interface DropoutOptions {
  /** The probability of a zero while training, in [0, 1]; 0.5 by default. */
  p?: number;
}
const DROPOUT = new OptionNames<DropoutOptions>({ p: true }, 'the options of dropout');

/** x itself: models are as in `eval()`. It keeps the numbers of the layers behind it those of PyTorch's. */
export function dropout(options?: DropoutOptions): Layer {
  const { p = 0.5 } = DROPOUT.read(options);
  if (!(check.finite(p, 'dropout: p') >= 0 && p <= 1))
    throw outOfRange(`dropout: p should be between 0 and 1, got ${p}`);
  return { kind: 'dropout', takes: 'any', emit: (_scope, x) => x };
}
