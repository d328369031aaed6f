/** Layers with buffers, for sequences, and others, against PyTorch (scripts/reference/nn_layers.py). */
import { describe, expect, it } from 'vitest';
import * as api from '../../lib/index.ts';
// @ts-expect-error a script of the repository, without types
import { compareProducts, relativeError, TOLERANCE } from '../../scripts/zoo/compare.mjs';
import { decode, LAYER_CASES, layersOf, stateOf } from '../support/layers.ts';

const { Model, nn, tensor } = api;

describe.each(LAYER_CASES)('$name', (expected) => {
  const layers = layersOf(expected);
  const state = stateOf(expected);

  it('is initialized as in PyTorch', () => {
    expect(Model.sequential(layers).init({ seed: 0 })).toEqual(decode(expected.init).data);
  });

  it('gives the numbers of PyTorch in every product, with its state dict', { timeout: 60_000 }, async () => {
    const model = Model.sequential(layers, { buffers: state });
    expect(model.parameters.map(({ name, shape }) => [name, shape])).toEqual(expected.names);
    expect(model.flatten(state)).toEqual(decode(expected.params).data);
    const problem = { model, params: decode(expected.params).data, x: decode(expected.inputs[0]!) };
    const results = await compareProducts(api, problem, expected);
    expect(results.length).toBeGreaterThan(20);
    for (const { product, error, refused } of results) {
      expect({ product, refused }).toEqual({ product, refused: undefined });
      expect(error, product).toBeLessThanOrEqual(TOLERANCE);
    }
  });
});

describe('buffers', () => {
  const layers = () => [nn.linear(2, 3), nn.batchNorm1d(3)];
  const state = (mean: number) => ({
    '0.weight': new Float32Array(6).fill(0.5),
    '0.bias': new Float32Array(3),
    '1.weight': new Float32Array(3).fill(1),
    '1.bias': new Float32Array(3),
    '1.running_mean': new Float32Array(3).fill(mean),
    '1.running_var': new Float32Array(3).fill(1),
    '1.num_batches_tracked': new BigInt64Array(1),
  });

  it('are zeros and ones where none are given', () => {
    const model = Model.sequential(layers());
    const x = tensor(new Float32Array([1, 2]), [1, 2]);
    const y = model.forwardSync(model.flatten(state(0)), x).data;
    expect(relativeError(y, new Float32Array(3).fill(1.5 / Math.sqrt(1 + 1e-5)))).toBeLessThan(1e-6);
  });

  it('of a state dict are not passed over where the model has others', () => {
    expect(() => Model.sequential(layers()).flatten(state(0.25))).toThrow(
      /1\.running_mean.*Model\.sequential\(layers, \{ buffers: stateDict \}\)/,
    );
    const model = Model.sequential(layers(), { buffers: state(0.25) });
    expect(model.flatten(state(0.25)).length).toBe(model.parameterCount);
  });

  it('have to fit, and are copied', () => {
    const short = { '1.running_mean': new Float32Array(2) };
    expect(() => Model.sequential(layers(), { buffers: short })).toThrow(/buffers\['1\.running_mean'\]/);
    const buffers = state(0.25);
    const model = Model.sequential(layers(), { buffers });
    const x = tensor(new Float32Array([1, 2]), [1, 2]);
    const params = model.flatten(state(0.25));
    const before = model.forwardSync(params, x).data;
    buffers['1.running_mean'].fill(9);
    expect(model.forwardSync(params, x).data).toEqual(before);
  });
});

it('positions that a table does not have are refused', () => {
  const model = Model.sequential([nn.positionalEmbedding(3, 2)]);
  const x = tensor(new Float32Array(8), [1, 4, 2]);
  expect(() => model.forwardSync(model.init(), x)).toThrow(
    expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }),
  );
});

it.each([
  [() => nn.multiheadAttention(4, 3), RangeError],
  [() => nn.dropout({ p: 2 }), RangeError],
  [() => nn.rotaryEmbedding(3), RangeError],
  [() => nn.batchNorm2d('a' as never), TypeError],
  [() => nn.prelu({ parameters: 0 }), RangeError],
  [() => nn.convTranspose2d(2, 3, 2, { groups: 2 }), RangeError],
  [() => nn.adaptiveAvgPool2d([1, 2, 3] as never), RangeError],
])('%s is refused', (make, kind) => {
  expect(make).toThrow(kind);
});
