import { OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { biasUniform, kaimingUniform } from './initializers.ts';
import type { Layer } from './layer.ts';

export interface LinearOptions {
  bias?: boolean;
}

const LINEAR = new OptionNames<LinearOptions>({ bias: true }, 'the options of linear');

/** y = x Wᵀ + b with `weight` [outputs, inputs] and `bias` [outputs]; x of [batch, …, inputs]. */
export function linear(inputs: number, outputs: number, options?: LinearOptions): Layer {
  const columns = check.size(inputs, 'linear: inputs');
  const rows = check.size(outputs, 'linear: outputs');
  const { bias = true } = LINEAR.read(options);
  check.flag(bias, 'linear: bias');
  return {
    kind: 'linear',
    takes: { shape: [columns] },
    emit(scope, x) {
      const weight = scope.parameter('weight', [rows, columns], kaimingUniform(columns));
      return scope.call(
        'aten::linear',
        x,
        weight,
        bias ? scope.parameter('bias', [rows], biasUniform(columns)) : null,
      );
    },
  };
}
