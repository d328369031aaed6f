import { types } from 'node:util';
import { describe, sizesOf } from '../../arrays.ts';
import { outOfRange, wrongType } from '../../errors.ts';
import { isList, isRevoked, listOf } from '../../foreign.ts';
import type { Layer, LayerInput } from './layer.ts';
import { Value } from './program-builder.ts';

/** A copy of what a layer says that it takes, of which each part was read once; undefined for what says nothing. */
function readInput(takes: unknown, name: string): Layer['takes'] {
  if (takes === 'any') return takes;
  const { dtype = 'float32', shape } = (isRevoked(takes) ? {} : Object(takes)) as Partial<LayerInput>;
  if (!['float32', 'int64'].includes(dtype) || !isList(shape)) return undefined;
  const sizes: readonly unknown[] = sizesOf(shape, `${name}: takes.shape`);
  const isSize = (size: unknown): size is number | string =>
    typeof size === 'string' || (Number.isSafeInteger(size) && (size as number) >= 0);
  return sizes.every(isSize) ? { dtype, shape: sizes } : undefined;
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
      takes: readInput(takes, `${name}: layer ${index}`),
      emit(scope, x) {
        const output: unknown = Reflect.apply(emit, layer, [scope, x]);
        if (!isRevoked(output) && output instanceof Value) return output;
        if (types.isPromise(output)) output.catch(() => {});
        throw wrongType(`${name}: layer ${index} should emit a value of its scope, got ${describe(output)}`);
      },
    };
  });
}
