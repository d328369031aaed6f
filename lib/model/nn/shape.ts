/** Layers that change only the shape. Axes count from 0, the batch, or from −1, the last. */
import { outOfRange } from '../../errors.ts';
import * as check from './arguments.ts';
import type { Layer } from './layer.ts';

/** Merges axes `startDim` to `endDim` into one. */
export function flatten(startDim = 1, endDim = -1): Layer {
  const start = exceptBatch(startDim, 'flatten: startDim');
  const end = exceptBatch(endDim, 'flatten: endDim');
  return { kind: 'flatten', emit: (scope, x) => scope.call('aten::flatten.using_ints', x, start, end) };
}

/** Drops axis `dim` where its size is 1. */
export function squeeze(dim: number): Layer {
  const at = exceptBatch(dim, 'squeeze: dim');
  return { kind: 'squeeze', emit: (scope, x) => scope.call('aten::squeeze.dim', x, at) };
}

/** Adds an axis of size 1 at `dim`. */
export function unsqueeze(dim: number): Layer {
  const at = exceptBatch(dim, 'unsqueeze: dim');
  return { kind: 'unsqueeze', emit: (scope, x) => scope.call('aten::unsqueeze', x, at) };
}

function exceptBatch(value: unknown, name: string): number {
  const at = check.axis(value, name);
  if (at === 0) throw outOfRange(`${name} should not be 0: the first axis is the batch`);
  return at;
}
