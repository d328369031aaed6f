import { describe, expect, it } from 'vitest';
import { Generator, Model, nn } from '../../lib/index.ts';
import { INIT_CASES, MODEL_CASES, modelOf, problemOf, relativeError } from '../support/models.ts';

describe.each(MODEL_CASES.map((each) => [each.name, each] as const))('%s', (_, each) => {
  const { model, params, x } = problemOf(each);

  it("has PyTorch's parameters in PyTorch's order", () => {
    expect(model.parameters.map(({ name, shape }) => [name, shape])).toEqual(each.parameters);
    let offset = 0;
    for (const parameter of model.parameters) {
      expect(parameter.offset).toBe(offset);
      expect(parameter.length).toBe(parameter.shape.reduce((product, size) => product * size, 1));
      offset += parameter.length;
    }
    expect(model.parameterCount).toBe(each.params.length);
  });

  it("gives PyTorch's output, whole and in chunks, from promises and at once", async () => {
    const whole = model.forwardSync(params, x);
    expect(whole.shape).toEqual(each.y.shape);
    expect(relativeError(whole.data, each.y.data)).toBeLessThan(1e-13);
    const chunked = await model.forward(params, x, { chunkSize: 2 });
    expect(chunked.shape).toEqual(each.y.shape);
    expect(relativeError(chunked.data, each.y.data)).toBeLessThan(1e-13);
  });

  it('flattens and unflattens', () => {
    const flat = Float64Array.from(each.params);
    const views = model.unflatten(flat);
    expect(Object.keys(views)).toEqual(each.parameters.map(([name]) => name));
    expect(model.flatten(views)).toEqual(flat);
    const last = Object.values(views).at(-1)!;
    last[last.length - 1] = 42;
    expect(flat.at(-1)).toBe(42);
  });
});

it.each(INIT_CASES.map((each) => [`${each.name}, seed ${each.seed}, ${each.dtype}`, each] as const))(
  "draws PyTorch's initial parameters: %s",
  (_, each) => {
    const values = modelOf(each).init({ seed: each.seed, dtype: each.dtype });
    expect(values).toBeInstanceOf(each.dtype === 'float64' ? Float64Array : Float32Array);
    expect(values.length).toBe(each.length);
    expect([...values].filter((_, i) => i % each.every === 0)).toEqual(each.values);
  },
);

it('draws from a generator and moves it on, as successive draws in PyTorch', () => {
  const model = Model.sequential([
    nn.linear(4, 64),
    nn.tanh(),
    nn.linear(64, 64),
    nn.tanh(),
    nn.linear(64, 1),
  ]);
  const generator = new Generator(0);
  const first = model.init({ generator });
  expect(first).toEqual(model.init({ seed: 0 }));
  expect(first).toEqual(model.init({ seed: 0n }));
  expect(first).toEqual(model.init());
  expect(model.init({ generator })).not.toEqual(first);
});

it('lists what the contract says of the seed model', () => {
  const model = Model.sequential([
    nn.linear(4, 64),
    nn.tanh(),
    nn.linear(64, 64),
    nn.tanh(),
    nn.linear(64, 1),
  ]);
  expect(model.parameterCount).toBe(4545);
  expect(model.parameters[0]).toEqual({ name: '0.weight', shape: [64, 4], offset: 0, length: 256 });
  expect(model.parameters.map(({ name }) => name)).toEqual([
    ...['0.weight', '0.bias', '2.weight', '2.bias', '4.weight', '4.bias'],
  ]);
});

it('names parameters of nested layers as nested modules', () => {
  const inner = nn.residual([nn.linear(3, 3), nn.residual([nn.tanh(), nn.linear(3, 3, { bias: false })])]);
  const model = Model.sequential([nn.tanh(), inner]);
  expect(model.parameters.map(({ name }) => name)).toEqual(['1.0.weight', '1.0.bias', '1.1.1.weight']);
});
