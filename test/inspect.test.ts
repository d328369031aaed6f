/** How objects show themselves to `console.log`, and what they are called. */
import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import {
  customOperator,
  denseOperator,
  diagonalOperator,
  Generator,
  gramian,
  Linearization,
  LinearOperator,
  linearizeSync,
  Model,
  nn,
  ntkSync,
  profile,
  startProfile,
  tensor,
} from '../lib/index.ts';

const model = Model.sequential([nn.linear(2, 3), nn.tanh(), nn.linear(3, 1)]);
const params = model.init({ seed: 0 });
const problem = { model, params, x: tensor(new Float32Array(8), [4, 2]) };

it('a linearization says its shapes, precision, place, engine and whether it is disposed', () => {
  const lin = linearizeSync(problem, { engine: 'fused' });
  const { bytes } = lin;
  const shown = (disposed: boolean) =>
    `Linearization {\n  outputShape: [ 4, 1 ],\n  parameterCount: 13,\n  dtype: 'float32',\n  device: 'cpu',\n` +
    `  engine: 'fused',\n  bytes: ${bytes},\n  disposed: ${disposed}\n}`;
  expect(inspect(lin)).toBe(shown(false));
  lin.dispose();
  expect(inspect(lin)).toBe(shown(true));
});

it('an operator says what it is', async () => {
  using op = await gramian(problem, { engine: 'autograd' });
  expect(inspect(op)).toBe(
    `LinearOperator {\n  kind: 'gramian',\n  shape: [ 13, 13 ],\n  dtype: 'float32',\n  device: 'cpu',\n` +
      `  engine: 'autograd',\n  symmetric: true,\n  bytes: ${op.bytes},\n  disposed: false\n}`,
  );
});

it('operators of every origin know their kind', async () => {
  const stream = { model, params, batches: [{ x: problem.x }] };
  const dense = denseOperator(tensor(new Float64Array(4), [2, 2]));
  using op = await gramian(problem);
  const kinds = {
    ntk: ntkSync(problem),
    gramian: await gramian(stream),
    dense,
    diagonal: diagonalOperator(new Float64Array(2)),
    custom: customOperator({ shape: [1, 1], matmat: (vectors) => vectors }),
    sum: dense.add(dense),
    scaled: dense.scale(2),
    damped: dense.damp(1),
    product: dense.multiply(dense),
    submatrix: op.submatrix(['0.*']),
  };
  for (const [kind, each] of Object.entries(kinds)) {
    expect(each.kind).toBe(kind);
    each.dispose();
  }
  expect(inspect(dense)).toContain("kind: 'dense'");
  expect(inspect(dense)).toContain('disposed: true');
});

it('models, generators and profiles say what they hold', async () => {
  expect(inspect(model)).toBe(
    `Model {\n  parameterCount: 13,\n  parameters: {\n    '0.weight': [ 3, 2 ],\n    '0.bias': [ 3 ],\n` +
      `    '2.weight': [ 1, 3 ],\n    '2.bias': [ 1 ]\n  },\n  inputs: [ 'x' ]\n}`,
  );
  const deep = Model.sequential(Array.from({ length: 10 }, () => nn.linear(1, 1)));
  expect(inspect(deep)).toContain('others: 12');
  expect(inspect(new Generator(7))).toBe('Generator { seed: 7n }');
  const { profile: recorded } = await profile(() => gramian(problem).then((op) => op.dispose()));
  expect(inspect(recorded)).toMatch(/^Profile \{\n {2}selfCpuTimeTotal: [\d.]+,\n/);
  expect(inspect(recorded)).toContain(`rows: ${recorded.keyAverages().length}`);
  const profiler = startProfile();
  expect(inspect(profiler)).toBe(`Profiler { action: 'record', stepNumber: 0, recording: true }`);
  profiler.stop();
  expect(inspect(profiler)).toContain('recording: false');
});

it('nested ones open as deep as any object does', () => {
  const generator = new Generator(7);
  expect(inspect({ a: { b: generator } }, { depth: 2 })).toContain('seed: 7n');
  expect(inspect({ a: { b: generator } }, { depth: 1 })).toContain('[Generator]');
  expect(inspect({ a: { b: { c: { d: model } } } }, { depth: null })).toContain("'0.weight'");
});

it('strings tell the class', () => {
  using op = diagonalOperator(params);
  using lin = linearizeSync(problem);
  expect([op, lin, model, new Generator(0)].map(String)).toEqual([
    '[object LinearOperator]',
    '[object Linearization]',
    '[object Model]',
    '[object Generator]',
  ]);
});

it('operators and linearizations are instances of their classes, which only the package makes', () => {
  using op = diagonalOperator(params);
  using lin = linearizeSync(problem);
  expect(op instanceof LinearOperator && lin instanceof Linearization).toBe(true);
  expect(op).not.toBeInstanceOf(Linearization);
  for (const Class of [LinearOperator, Linearization] as unknown as (new (
    ...given: unknown[]
  ) => object)[]) {
    for (const given of [[], [{}], [op], [model, {}, {}]]) {
      expect(() => new Class(...given)).toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_ARGUMENT',
          message: expect.stringMatching(new RegExp(`^new ${Class.name} is not for callers: .* makes the `)),
        }),
      );
    }
  }
});
