/** Cases of scripts/reference/nn_layers.py: layers with buffers, for sequences, and others. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FloatArray, type Layer, Model, nn, type Problem, type Tensor } from '../../lib/index.ts';
// @ts-expect-error a script of the repository, without types
import { decode as decodeArray } from '../../scripts/zoo/compare.mjs';

/** An array as the zoo writes it. */
export type Encoded = { readonly dtype: string };

export interface LayerCase {
  name: string;
  layers: [string, ...unknown[]][];
  state: Record<string, Encoded>;
  names: unknown;
  init: Encoded;
  params: Encoded;
  inputs: Encoded[];
  v: Encoded;
  y: Encoded;
  jtjv: Encoded;
}

export const LAYER_CASES: LayerCase[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../fixtures/nn-layers.json'), 'utf8'),
);

export const decode: (array: Encoded) => Tensor<FloatArray> = decodeArray;

export const layersOf = ({ layers }: LayerCase): Layer[] =>
  layers.map(([kind, ...args]) =>
    (nn as unknown as Record<string, (...args: unknown[]) => Layer>)[kind]!(...args),
  );

export const stateOf = ({ state }: LayerCase): Record<string, FloatArray> =>
  Object.fromEntries(Object.entries(state).map(([name, each]) => [name, decode(each).data]));

export const layerProblem = (each: LayerCase): Problem => ({
  model: Model.sequential(layersOf(each), { buffers: stateOf(each) }),
  params: decode(each.params).data,
  x: decode(each.inputs[0]!),
});
