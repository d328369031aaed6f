/** Operators that put values in places: where a place is written twice, libtorch's gradient is that of no function. */
import { describe, expect, test } from 'vitest';
import { Generator, hessian, linearize, Model, matvecDense } from '../../../lib/index.ts';
import { type GraphNode, int, ints, pt2, tensorArgument as T } from './pt2-file.ts';

const call = (op: string, result: string, inputs: Record<string, unknown>): GraphNode => [
  `torch.ops.aten.${op}`,
  Object.entries(inputs),
  [result],
];
const whole = { as_scalar_type: 5 };
const reshape = (self: string, result: string, ...shape: number[]) =>
  call('reshape.default', result, { self: T(self), shape: ints(...shape) });

/** Places 0 and 1, or 0 twice; what is written: the last two rows of w, and what is made of them. */
const places = (twice: boolean) => [
  twice
    ? call('zeros.default', 'i', { size: ints(2), dtype: whole })
    : call('arange.default', 'i', { end: int(2), dtype: whole }),
  call('slice.Tensor', 'rows', { self: T('p_w'), dim: int(0), start: int(3), end: int(5) }),
  reshape('rows', 'image', 1, 2, 3),
  reshape('rows', 'numbers', 6),
  call('slice.Tensor', 'two', { self: T('numbers'), dim: int(0), start: int(0), end: int(2) }),
  reshape('i', 'column', 2, 1),
  call('expand.default', 'each', { self: T('column'), size: ints(2, 3) }),
];
const self = T('p_w');
const index = T('i');
const WRITES: Readonly<Record<string, readonly GraphNode[]>> = {
  index_put: [
    call('index_put.default', 'y', { self, indices: { as_tensors: [{ name: 'i' }] }, values: T('rows') }),
  ],
  _unsafe_index_put: [
    call('_unsafe_index_put.default', 'y', {
      self,
      indices: { as_tensors: [{ name: 'i' }] },
      values: T('rows'),
    }),
  ],
  index_copy: [call('index_copy.default', 'y', { self, dim: int(0), index, source: T('rows') })],
  scatter: [call('scatter.src', 'y', { self, dim: int(0), index: T('each'), src: T('rows') })],
  put: [call('put.default', 'y', { self, index, source: T('two') })],
};
/** A place for each number, or the first for all. */
const UNPOOL = (twice: boolean) => [
  call('arange.default', 'line', { end: int(6), dtype: whole }),
  call('mul.Scalar', 'scaled', { self: T('line'), other: int(twice ? 0 : 2) }),
  reshape('scaled', 'pixels', 1, 2, 3),
  call('max_unpool2d.default', 'large', { self: T('image'), indices: T('pixels'), output_size: ints(5, 3) }),
  reshape('large', 'y', 5, 3),
];
const out = call('linear.default', 'out', { input: T('x'), weight: T('y') });
const curved = call('sin.default', 'end', { self: T('out') });

const generator = new Generator(3);
const x = generator.randn([4, 3], { dtype: 'float64' });
const params = generator.randn([15], { dtype: 'float64' }).data;
const v = generator.randn([15], { dtype: 'float64' }).data;
const u = generator.randn([4, 5], { dtype: 'float64' });
const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, each, i) => sum + each * b[i]!, 0);

const CASES = Object.entries(WRITES).map(([name, nodes]) => [name, (_: boolean) => nodes] as const);

describe.each([...CASES, ['max_unpool2d', UNPOOL] as const])('%s', (name, nodes) => {
  const problemOf = async (twice: boolean) => {
    const model = await Model.load(pt2([...places(twice), ...nodes(twice), out, curved], 'end'));
    return { model, params, x };
  };

  test('has the derivatives of finite differences where each place is written once', async () => {
    const problem = await problemOf(false);
    using lin = await linearize(problem);
    const jv = (await lin.jvp(v)).data;
    expect(dot(await lin.vjp(u), v)).toBeCloseTo(dot(u.data, jv), 10);
    const step = 1e-6;
    const at = async (sign: number) =>
      (
        await problem.model.forward(
          params.map((p, i) => p + sign * step * v[i]!),
          x,
        )
      ).data;
    const [above, below] = [await at(1), await at(-1)];
    for (const [i, each] of jv.entries()) expect(each).toBeCloseTo((above[i]! - below[i]!) / (2 * step), 7);
  });

  test('is refused where one is written twice and a gradient is to flow, and runs forward', async () => {
    const problem = await problemOf(true);
    expect((await problem.model.forward(params, x)).shape).toEqual([4, 5]);
    const refused = {
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringMatching(new RegExp(`aten::${name} writes to one place twice.*index_add`)),
    };
    await expect(linearize(problem)).rejects.toMatchObject(refused);
    await expect(matvecDense(problem, v)).rejects.toMatchObject(refused);
    const target = { data: new Float64Array(20), shape: [4, 5] };
    await expect(
      hessian({ ...problem, target, loss: 'mse' }).then((op) => op.matvec(v)),
    ).rejects.toMatchObject(refused);
  });
});

test('numbers that change from run to run are not taken for rows that depend on one another', async () => {
  const nodes = [
    ...places(false),
    // The last of each thread's share are different numbers.
    call('repeat.default', 'many', { self: T('rows'), repeats: ints(61, 101) }),
    reshape('many', 'image_of_many', 1, 122, 303),
    call('arange.default', 'line', { end: int(122 * 303), dtype: whole }),
    call('mul.Scalar', 'scaled', { self: T('line'), other: int(0) }),
    reshape('scaled', 'pixels', 1, 122, 303),
    call('max_unpool2d.default', 'large', {
      self: T('image_of_many'),
      indices: T('pixels'),
      output_size: ints(5, 3),
    }),
    reshape('large', 'y', 5, 3),
  ];
  const model = await Model.load(pt2([...nodes, out, curved], 'end'));
  for (let i = 0; i < 50; ++i) {
    await expect(matvecDense({ model, params, x }, v)).rejects.toThrow(/writes to one place twice/);
  }
});
