/** Element-wise functions. A new one is a row here. */
import * as check from './arguments.ts';
import type { CallArgument, Layer } from './layer.ts';

function elementwise(kind: string, target: string, ...args: readonly CallArgument[]): Layer {
  return { kind, emit: (scope, x) => scope.call(target, x, ...args) };
}

/** The hyperbolic tangent. */
export const tanh = (): Layer => elementwise('tanh', 'aten::tanh');
/** max(x, 0) */
export const relu = (): Layer => elementwise('relu', 'aten::relu');
/** x·σ(x) */
export const silu = (): Layer => elementwise('silu', 'aten::silu');
/** σ(x) = 1/(1 + exp(−x)) */
export const sigmoid = (): Layer => elementwise('sigmoid', 'aten::sigmoid');

/** x·Φ(x), or its approximation by tanh. */
export function gelu(options?: { approximate?: 'none' | 'tanh' }): Layer {
  const { approximate = 'none' } = check.options(options, ['approximate'], 'gelu');
  check.oneOf(approximate, ['none', 'tanh'], 'gelu: approximate');
  // The only argument of ATen's gelu after x is keyword-only; it comes second in its schema all the same.
  return elementwise('gelu', 'aten::gelu', approximate);
}

/** log(1 + exp(beta·x))/beta; x itself where beta·x is above the threshold. */
export function softplus(options?: { beta?: number; threshold?: number }): Layer {
  const { beta = 1, threshold = 20 } = check.options(options, ['beta', 'threshold'], 'softplus');
  return elementwise(
    'softplus',
    'aten::softplus',
    check.finite(beta, 'softplus: beta'),
    check.finite(threshold, 'softplus: threshold'),
  );
}

/** x where positive, alpha·(exp(x) − 1) elsewhere. */
export function elu(options?: { alpha?: number }): Layer {
  const { alpha = 1 } = check.options(options, ['alpha'], 'elu');
  return elementwise('elu', 'aten::elu', check.finite(alpha, 'elu: alpha'));
}

/** x where positive, negativeSlope·x elsewhere. */
export function leakyRelu(options?: { negativeSlope?: number }): Layer {
  const { negativeSlope = 0.01 } = check.options(options, ['negativeSlope'], 'leakyRelu');
  return elementwise(
    'leakyRelu',
    'aten::leaky_relu',
    check.finite(negativeSlope, 'leakyRelu: negativeSlope'),
  );
}
