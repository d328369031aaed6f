import { sizesOf } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { isList } from '../../foreign.ts';
import { OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { constant } from './initializers.ts';
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

/** Of `batchNorm1d` and `batchNorm2d`. */
export interface BatchNormOptions {
  eps?: number;
  affine?: boolean;
}
const BATCH_NORM = new OptionNames<BatchNormOptions>(
  { eps: true, affine: true },
  'the options of a batch norm',
);

/**
 * (x − running_mean)/√(running_var + eps)·weight + bias, as in `eval()`; x of [batch, channels] or [batch, channels, length].
 * The running statistics are those of `Model.sequential(layers, { buffers: stateDict })`, else 0 and 1.
 */
export function batchNorm1d(channels: number, options?: BatchNormOptions): Layer {
  return batchNorm('batchNorm1d', channels, [], options);
}

/** The same for x of [batch, channels, height, width]. */
export function batchNorm2d(channels: number, options?: BatchNormOptions): Layer {
  return batchNorm('batchNorm2d', channels, ['height', 'width'], options);
}

function batchNorm(
  kind: string,
  channels: number,
  image: readonly string[],
  options: BatchNormOptions | undefined,
): Layer {
  check.size(channels, `${kind}: channels`);
  const given = BATCH_NORM.read(options, `the options of ${kind}`);
  const eps = check.finite(given.eps ?? 1e-5, `${kind}: eps`);
  const scaled = check.flag(given.affine ?? true, `${kind}: affine`);
  return {
    kind,
    takes: { shape: [channels, ...image] },
    emit(scope, x) {
      const [weight, bias] = affine(scope, [channels], scaled);
      const mean = scope.buffer('running_mean', [channels], 0);
      const variance = scope.buffer('running_var', [channels], 1);
      scope.ignore('num_batches_tracked');
      return scope.call(
        'aten::batch_norm',
        x,
        weight,
        bias,
        mean,
        variance,
        false,
        { float: 0.1 },
        eps,
        true,
      );
    },
  };
}

/** Of `instanceNorm`. */
export interface InstanceNormOptions {
  eps?: number;
  /** Whether it has `weight` and `bias` [channels]; it has none by default, as in PyTorch. */
  affine?: boolean;
}
const INSTANCE_NORM = new OptionNames<InstanceNormOptions>(
  { eps: true, affine: true },
  'the options of instanceNorm',
);

/** Normalizes each channel of each sample; x of [batch, channels, length] or [batch, channels, height, width]. */
export function instanceNorm(channels: number, options?: InstanceNormOptions): Layer {
  check.size(channels, 'instanceNorm: channels');
  const given = INSTANCE_NORM.read(options);
  const eps = check.finite(given.eps ?? 1e-5, 'instanceNorm: eps');
  const scaled = check.flag(given.affine ?? false, 'instanceNorm: affine');
  return {
    kind: 'instanceNorm',
    takes: { shape: [channels, '...'] },
    emit: (scope, x) =>
      scope.call(
        'aten::instance_norm',
        x,
        ...affine(scope, [channels], scaled),
        null,
        null,
        true,
        { float: 0.1 },
        eps,
        true,
      ),
  };
}

function affine(scope: Scope, shape: readonly number[], present: boolean) {
  if (!present) return [null, null] as const;
  return [
    scope.parameter('weight', shape, constant(1)),
    scope.parameter('bias', shape, constant(0)),
  ] as const;
}
