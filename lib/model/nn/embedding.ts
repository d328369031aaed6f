import { outOfRange } from '../../errors.ts';
import { OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { normal } from './initializers.ts';
import type { Layer } from './layer.ts';

/** Of `embedding`. */
export interface EmbeddingOptions {
  paddingIdx?: number;
}

const EMBEDDING = new OptionNames<EmbeddingOptions>({ paddingIdx: true }, 'the options of embedding');

/**
 * Looks up rows of `weight` [count, width]; x holds row numbers (Int32Array or BigInt64Array) of [batch, …]. The row
 * `paddingIdx` starts at zero and gets no derivative.
 */
export function embedding(count: number, width: number, options?: EmbeddingOptions): Layer {
  check.size(count, 'embedding: count');
  check.size(width, 'embedding: width');
  const { paddingIdx } = EMBEDDING.read(options);
  if (paddingIdx !== undefined && check.size(paddingIdx, 'embedding: paddingIdx', 0) >= count) {
    throw outOfRange(`embedding: paddingIdx should be less than ${count}, got ${paddingIdx}`);
  }
  return {
    kind: 'embedding',
    takes: { dtype: 'int64', shape: ['length'] },
    emit: (scope, x) =>
      scope.call(
        'aten::embedding',
        scope.parameter('weight', [count, width], normal(paddingIdx)),
        x,
        paddingIdx ?? -1,
      ),
  };
}
