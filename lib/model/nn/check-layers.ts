import { types } from 'node:util';
import { describe } from '../../arrays.ts';
import { outOfRange, wrongType } from '../../errors.ts';
import { isList, isRevoked, listOf } from '../../foreign.ts';
import type { Layer, LayerInput } from './layer.ts';
import { Value } from './program-builder.ts';

function isInput(takes: unknown): takes is Layer['takes'] {
  if (takes === 'any') return true;
  const { dtype = 'float32', shape } = (isRevoked(takes) ? {} : Object(takes)) as Partial<LayerInput>;
  return (
    ['float32', 'int64'].includes(dtype) &&
    isList(shape) &&
    shape.every((size) => typeof size === 'string' || (Number.isSafeInteger(size) && (size as number) >= 0))
  );
}

/** A copy of the list, once every element is a layer and there is at least one. */
export function checkLayers(layers: unknown, name: string): readonly Layer[] {
  const list = listOf(layers, `${name}: the argument`, 'a list of layers');
  if (list.length === 0) throw outOfRange(`${name}: expected at least one layer`);
  return list.map((layer, index) => {
    const { kind, takes, emit } = (isRevoked(layer) ? {} : Object(layer)) as Partial<Layer>;
    if (typeof emit !== 'function') {
      throw wrongType(`${name}: layer ${index} should come from a function of nn, got ${describe(layer)}`);
    }
    return {
      kind: typeof kind === 'string' ? kind : 'own',
      takes: isInput(takes) ? takes : undefined,
      emit(scope, x) {
        const output: unknown = Reflect.apply(emit, layer, [scope, x]);
        if (!isRevoked(output) && output instanceof Value) return output;
        if (types.isPromise(output)) output.catch(() => {});
        throw wrongType(`${name}: layer ${index} should emit a value of its scope, got ${describe(output)}`);
      },
    };
  });
}
