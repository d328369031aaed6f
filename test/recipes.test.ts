/**
 * The recipes of ARCHITECTURE.md on TypeScript's side: an operator, a solver and any other operation, each declared once,
 * with both of its forms. Those of native code are in test/native/recipes_test.cc.
 */
import { expect, test } from 'vitest';
import { operation } from '../lib/addon/operation.ts';
import {
  cgSync,
  diagonalOperator,
  Generator,
  gaussNewton,
  gramianSync,
  type Layer,
  type LinearOperator,
  Model,
  nn,
} from '../lib/index.ts';
import { constant } from '../lib/model/nn/initializers.ts';
import { factory } from '../lib/operators/factory.ts';
import { OptionNames } from '../lib/options.ts';
import { LINEARIZE_NAMES, type LinearizeOptions } from '../lib/products/linearize.ts';
import { type SolverOptions, solver } from '../lib/solvers/arguments.ts';

const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]);
const params = model.init({ seed: 1, dtype: 'float64' });
const draw = new Generator(2);
const x = draw.randn([5, 3], { dtype: 'float64' });
const target = draw.randn([5, 2], { dtype: 'float64' });
const ones = new Float64Array(model.parameterCount).fill(1);

interface DrawnOptions extends LinearizeOptions {
  draws?: number;
}

/** An operator with an option of its own, by the row of `fisher`. */
const DRAWN = factory(
  'fisher',
  new OptionNames<DrawnOptions>({ ...LINEARIZE_NAMES, draws: true }),
  ({ draws = 1 }) => ({ mcSamples: draws, seed: 3n }),
);

test('an operator is a row, its options, and what they are for the addon', async () => {
  const problem = { model, params, x, target, loss: 'mse' };
  using sync = DRAWN.sync(problem, { draws: 400 });
  using promised = await DRAWN.promised(problem, { draws: 400 });
  expect(promised.matvecSync(ones)).toEqual(sync.matvecSync(ones));
  using exact = await gaussNewton(problem);
  const [estimate, expected] = [promised.matvecSync(ones), exact.matvecSync(ones)];
  const error = Math.hypot(...estimate.map((each, i) => each - expected[i]!)) / Math.hypot(...expected);
  expect(error).toBeLessThan(0.3);
  await expect(DRAWN.promised(problem, { draw: 4 } as DrawnOptions)).rejects.toThrow(/did you mean 'draws'/);
  expect(() => DRAWN.sync(problem, { draw: 4 } as DrawnOptions)).toThrow(/did you mean 'draws'/);

  // Over a stream it is made of the same parts, whose draws are numbered through.
  const rows = (begin: number, end: number) => ({
    x: { data: x.data.slice(begin * 3, end * 3), shape: [end - begin, 3] },
    target: { data: target.data.slice(begin * 2, end * 2), shape: [end - begin, 2] },
  });
  const batches = [rows(0, 2), rows(2, 5)];
  using streamed = await DRAWN.promised({ model, params, batches, loss: 'mse' }, { draws: 400 });
  const product = await streamed.matvec(ones);
  product.forEach((each, i) => {
    expect(each).toBeCloseTo(estimate[i]!, 10);
  });
});

interface RoughOptions extends SolverOptions {
  steps?: number;
}

/** A solver under a name of its own: a few steps of `cg`. */
const ROUGH = solver(
  {
    name: 'rough',
    row: 'cg',
    names: new OptionNames<RoughOptions>({ steps: true, threads: true, signal: true }),
  },
  (op: LinearOperator, { steps = 2 }, b: Float64Array) => ({
    options: { b: op.rowVector(b, 'b'), maxIterations: steps },
    result: (found) => (found as { x: Float64Array }).x,
  }),
);

test('a solver is a row: its options, and what the addon is told of them', async () => {
  using op = gramianSync({ model, params, x }).damp(0.5);
  const expected = cgSync(op, ones, { maxIterations: 2 }).x;
  expect(ROUGH.sync(op, {}, ones)).toEqual(expected);
  expect(await ROUGH.promised(op, {}, ones)).toEqual(expected);
  using wide = diagonalOperator(new Float32Array(3));
  await expect(ROUGH.promised(wide, {}, ones)).rejects.toMatchObject({ code: 'ERR_SHAPE_MISMATCH' });
  await expect(ROUGH.promised(op, { signal: AbortSignal.abort('no') }, ones)).rejects.toBe('no');
  expect(() => ROUGH.sync(op, { steps: 1, step: 2 } as RoughOptions, ones)).toThrow(/did you mean 'steps'/);
});

test('what an operation holds is released however it ends', async () => {
  let [held, ended] = [0, 0];
  using op = diagonalOperator(Float64Array.of(1, 2));
  const doubled = operation((v: Float64Array, count: number) => {
    held++;
    return {
      name: 'operatorApply',
      request: { operator: op.handle, v, count, threads: 0 },
      signal: undefined,
      describe: () => ({}),
      result: (found) => found.map((each) => 2 * each),
      release: () => {
        ended++;
      },
    };
  });
  expect(doubled.sync(Float64Array.of(3, 4), 1)).toEqual(Float64Array.of(6, 16));
  expect(await doubled.promised(Float64Array.of(3, 4), 1)).toEqual(Float64Array.of(6, 16));
  expect(() => doubled.sync(Float64Array.of(3), 1)).toThrow(/2 elements/);
  await expect(doubled.promised(Float64Array.of(3), 1)).rejects.toThrow(/2 elements/);
  expect([held, ended]).toEqual([4, 4]);
});

test('a layer is a function that adds calls and parameters to a program', async () => {
  const scale = (width: number): Layer => ({
    kind: 'scale',
    emit: (scope, x) => scope.call('aten::mul.Tensor', x, scope.parameter('weight', [width], constant(0))),
  });
  const scaled = Model.sequential([nn.linear(3, 2), scale(2)]);
  expect(scaled.parameters.map(({ name }) => name)).toEqual(['0.weight', '0.bias', '1.weight']);
  const initial = scaled.init({ dtype: 'float64' });
  const { data } = await scaled.forward(initial, x);
  expect(data).toHaveLength(10);
  expect(data.every((each) => each === 0)).toBe(true);
});
