import { describe } from '../../arrays.ts';
import { outOfRange, wrongType } from '../../errors.ts';
import type { Layer } from './layer.ts';

/** A copy of the list, once every element is a layer and there is at least one. */
export function checkLayers(layers: unknown, name: string): readonly Layer[] {
  if (!Array.isArray(layers)) throw wrongType(`${name}: expected a list of layers, got ${describe(layers)}`);
  if (layers.length === 0) throw outOfRange(`${name}: expected at least one layer`);
  layers.forEach((layer: unknown, index) => {
    if (typeof (layer as Partial<Layer> | null)?.emit !== 'function') {
      throw wrongType(`${name}: layer ${index} should come from a function of nn, got ${describe(layer)}`);
    }
  });
  return [...(layers as Layer[])];
}
