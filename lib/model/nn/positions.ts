/** What tells positions of a sequence apart. */
import { floatArray } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { normal } from './initializers.ts';
import type { Layer, Scope } from './layer.ts';
import type { Value } from './program-builder.ts';

/** The first rows of a table [positions, width], as many as x of [batch, …, length, width] has positions. */
function firstRows(scope: Scope, table: Value, x: Value): Value {
  return scope.call('aten::slice.Tensor', table, 0, 0, { sizeOf: x, axis: -2 }, 1);
}

/** Adds the row of `weight` [positions, width] for each position; x of [batch, length, width], of no more positions. */
export function positionalEmbedding(positions: number, width: number): Layer {
  check.size(positions, 'positionalEmbedding: positions', 2);
  check.size(width, 'positionalEmbedding: width');
  return {
    kind: 'positionalEmbedding',
    takes: { shape: ['length', width] },
    emit: (scope, x) =>
      scope.call(
        'aten::add.Tensor',
        x,
        firstRows(scope, scope.parameter('weight', [positions, width], normal()), x),
      ),
  };
}

/** Of `rotaryEmbedding`. */
export interface RotaryEmbeddingOptions {
  /** 10000 by default. */
  base?: number;
  /** Positions that there may be; 2048 by default. */
  positions?: number;
}
const ROTARY = new OptionNames<RotaryEmbeddingOptions>(
  { base: true, positions: true },
  'the options of rotaryEmbedding',
);

/**
 * Turns the pairs (xᵢ, xᵢ₊ₙ), n half the width, of each position p by the angles p·base^(−i/n), as the models of the Llama
 * family do; x of [batch, …, length, width].
 */
export function rotaryEmbedding(width: number, options?: RotaryEmbeddingOptions): Layer {
  check.size(width, 'rotaryEmbedding: width', 2);
  const { base = 10_000, positions = 2048 } = ROTARY.read(options);
  check.size(positions, 'rotaryEmbedding: positions', 2);
  const half = width / 2;
  if (!Number.isInteger(half)) throw outOfRange(`rotaryEmbedding: width should be even, got ${width}`);
  if (!(check.finite(base, 'rotaryEmbedding: base') > 0))
    throw outOfRange(`rotaryEmbedding: base should be positive, got ${base}`);
  const table = (f: (angle: number) => number) =>
    floatArray('float64', positions * width).map((_, at) =>
      f(Math.floor(at / width) * base ** (-((at % width) % half) / half)),
    );
  return {
    kind: 'rotaryEmbedding',
    takes: { shape: ['length', width] },
    emit(scope, x) {
      const [cosine, sine] = [Math.cos, Math.sin].map((f) =>
        firstRows(scope, scope.constant(table(f), [positions, width]), x),
      );
      const [first, second] = [
        [0, half],
        [half, width],
      ].map(([begin, end]) => scope.call('aten::slice.Tensor', x, -1, begin!, end!, 1));
      const turned = scope.call('aten::cat', [scope.call('aten::neg', second!), first!], -1);
      return scope.call(
        'aten::add.Tensor',
        scope.call('aten::mul.Tensor', x, cosine!),
        scope.call('aten::mul.Tensor', turned, sine!),
      );
    },
  };
}
