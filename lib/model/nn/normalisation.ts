import { sizesOf } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { isList } from '../../foreign.ts';
import { OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { constant } from './initialisers.ts';
import type { Layer, Scope } from './layer.ts';

export interface LayerNormOptions {
  eps?: number;
  elementwiseAffine?: boolean;
}

export interface GroupNormOptions {
  eps?: number;
  affine?: boolean;
}

const LAYER_NORM = new OptionNames<LayerNormOptions>(
  { eps: true, elementwiseAffine: true },
  'the options of layerNorm',
);
const GROUP_NORM = new OptionNames<GroupNormOptions>({ eps: true, affine: true }, 'the options of groupNorm');

/** Normalizes over the last axes, of sizes `shape`; `weight` and `bias` of that shape. */
export function layerNorm(shape: number | readonly number[], options?: LayerNormOptions): Layer {
  const given = isList(shape) ? sizesOf(shape, 'layerNorm: shape') : [shape];
  const over = check.sizes(given, given.length, 'layerNorm: shape');
  if (over.length === 0) throw outOfRange('layerNorm: shape should have at least one size');
  const { eps = 1e-5, elementwiseAffine = true } = LAYER_NORM.read(options);
  check.finite(eps, 'layerNorm: eps');
  check.flag(elementwiseAffine, 'layerNorm: elementwiseAffine');
  return {
    kind: 'layerNorm',
    takes: { shape: over },
    emit: (scope, x) =>
      scope.call('aten::layer_norm', x, over, ...affine(scope, over, elementwiseAffine), eps),
  };
}

/** Normalizes each of `groups` groups of channels; x of [batch, channels, …], `weight` and `bias` [channels]. */
export function groupNorm(groups: number, channels: number, options?: GroupNormOptions): Layer {
  check.size(groups, 'groupNorm: groups');
  check.size(channels, 'groupNorm: channels');
  if (channels % groups !== 0) {
    throw outOfRange(`groupNorm: groups should divide channels (${channels}), got ${groups}`);
  }
  const given = GROUP_NORM.read(options);
  const eps = check.finite(given.eps ?? 1e-5, 'groupNorm: eps');
  const scaled = check.flag(given.affine ?? true, 'groupNorm: affine');
  return {
    kind: 'groupNorm',
    takes: { shape: [channels, '...'] },
    emit: (scope, x) => scope.call('aten::group_norm', x, groups, ...affine(scope, [channels], scaled), eps),
  };
}

function affine(scope: Scope, shape: readonly number[], present: boolean) {
  if (!present) return [null, null] as const;
  return [
    scope.parameter('weight', shape, constant(1)),
    scope.parameter('bias', shape, constant(0)),
  ] as const;
}
