import type { FloatArray } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { OptionNames } from '../../options.ts';
import type { Generator } from '../generator.ts';
import * as check from './arguments.ts';
import { biasUniform, constant, type Initializer, kaimingUniform, uniform } from './initializers.ts';
import type { Layer, Scope } from './layer.ts';
import type { Value } from './program-builder.ts';

/** Of `multiheadAttention`. */
export interface MultiheadAttentionOptions {
  bias?: boolean;
  /** Each position sees itself and those before it. */
  causal?: boolean;
}

const OPTIONS = new OptionNames<MultiheadAttentionOptions>(
  { bias: true, causal: true },
  'the options of multiheadAttention',
);

/**
 * Self-attention, softmax(Q Kᵀ/√(width/heads)) V, of x of [batch, length, width], as
 * `nn.MultiheadAttention(width, heads, batch_first=True)` of x with itself; `in_proj_weight` [3 width, width],
 * `in_proj_bias`, `out_proj.weight` [width, width], `out_proj.bias`.
 */
export function multiheadAttention(width: number, heads: number, options?: MultiheadAttentionOptions): Layer {
  check.size(width, 'multiheadAttention: width');
  check.size(heads, 'multiheadAttention: heads');
  if (width % heads !== 0) {
    throw outOfRange(`multiheadAttention: heads should divide width (${width}), got ${heads}`);
  }
  const { bias = true, causal = false } = OPTIONS.read(options);
  check.flag(bias, 'multiheadAttention: bias');
  check.flag(causal, 'multiheadAttention: causal');
  return {
    kind: 'multiheadAttention',
    takes: { shape: ['length', width] },
    emit(scope, x) {
      const { inProjection, outProjection } = parameters(scope, width, bias);
      const all = scope.call('aten::linear', x, ...inProjection);
      const parts = scope.call('aten::unflatten.int', all, -1, [3, heads, width / heads]);
      const byHead = scope.call('aten::permute', parts, [2, 0, 3, 1, 4]); // [3, batch, heads, length, …]
      const [query, key, value] = [0, 1, 2].map((index) => scope.call('aten::select.int', byHead, 0, index));
      const attended = scope.call(
        'aten::scaled_dot_product_attention',
        query!,
        key!,
        value!,
        null,
        { float: 0 },
        causal,
      );
      const merged = scope.call(
        'aten::flatten.using_ints',
        scope.call('aten::transpose.int', attended, 1, 2),
        2,
        3,
      );
      return scope.call('aten::linear', merged, ...outProjection);
    },
  };
}

type Projection = readonly [weight: Value, bias: Value | null];

/** PyTorch draws the last projection, with a bias that it then sets to zero, before the first one. */
function parameters(
  scope: Scope,
  width: number,
  bias: boolean,
): Record<'inProjection' | 'outProjection', Projection> {
  const drawn = new WeakMap<Generator, FloatArray>();
  const xavier = uniform(Math.sqrt(6 / (4 * width)));
  const first: Initializer = (shape, generator, dtype) => {
    drawn.set(generator, kaimingUniform(width)([width, width], generator, dtype));
    if (bias) biasUniform(width)([width], generator, dtype);
    return xavier(shape, generator, dtype);
  };
  const last: Initializer = (_shape, generator) => drawn.get(generator)!;
  const offset = (name: string, size: number) => (bias ? scope.parameter(name, [size], constant(0)) : null);
  return {
    inProjection: [
      scope.parameter('in_proj_weight', [3 * width, width], first),
      offset('in_proj_bias', 3 * width),
    ],
    outProjection: [scope.parameter('out_proj.weight', [width, width], last), offset('out_proj.bias', width)],
  };
}
