import * as check from './arguments.ts';
import type { Layer } from './layer.ts';

/** exp(x)/Σ exp(x) along axis `dim`. */
export function softmax(dim: number): Layer {
  const at = check.axis(dim, 'softmax: dim');
  return { kind: 'softmax', takes: 'any', emit: (scope, x) => scope.call('aten::softmax.int', x, at) };
}

/** log(softmax(x)) along axis `dim`, without leaving the range of the numbers on the way. */
export function logSoftmax(dim: number): Layer {
  const at = check.axis(dim, 'logSoftmax: dim');
  return { kind: 'logSoftmax', takes: 'any', emit: (scope, x) => scope.call('aten::log_softmax.int', x, at) };
}
