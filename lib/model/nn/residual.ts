import { noOptions } from '../../options.ts';
import { checkLayers } from './check-layers.ts';
import { emitChain, type Layer } from './layer.ts';

/** x + f(x), with f the layers one after the other; their parameters are named as in a nested `nn.Sequential`. */
export function residual(layers: readonly Layer[]): Layer;
export function residual(layers: readonly Layer[], ...rest: readonly unknown[]): Layer {
  noOptions(rest, 'residual');
  const inner = checkLayers(layers, 'residual');
  return {
    kind: 'residual',
    takes: inner.find(({ takes }) => takes !== 'any')?.takes,
    emit: (scope, x) => scope.call('aten::add.Tensor', x, emitChain(inner, scope, x)),
  };
}
