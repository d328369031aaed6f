/** Files that were exported for a fixed number of rows, 3, and are given more: some blocks of that many. */
import { describe, expect, it } from 'vitest';
import { Generator, hessian, Model, matvecOnTheFly, tensor } from '../../../lib/index.ts';
import { call, type GraphNode, int, ints, pt2, tensorArgument as T } from './pt2-file.ts';

const linear = call('linear.default', { input: T('x'), weight: T('p_w') }, 'h');
const fixed = { x: { dtype: 7, sizes: [int(3), int(3)], strides: [int(3), int(1)], storage_offset: int(0) } };
const load = (...nodes: GraphNode[]) => Model.load(pt2([linear, ...nodes], 'y', [], {}, fixed, true));

const params = new Generator(2).randn([16], { dtype: 'float64' }).data;
const v = new Generator(3).randn([16], { dtype: 'float64' }).data;
/** With s, the first parameter, 0. */
const atZero = params.map((value, at) => (at === 0 ? 0 : value));
const rows = (count: number) => new Generator(1).randn([count, 3], { dtype: 'float64' });

const scaled = call('mul.Tensor', { self: T('h'), other: T('p_s') }, 'y');
const places = [
  call('arange.default', { end: int(3) }, 'n'),
  call('unsqueeze.default', { self: T('n'), dim: int(1) }, 'places'),
  call('mul.Tensor', { self: T('places'), other: T('p_s') }, 'moved'),
  call('add.Tensor', { self: T('h'), other: T('moved') }, 'y'),
];
const largest = [
  call('abs.default', { self: T('x') }, 'sizes'),
  call('amax.default', { self: T('sizes'), dim: ints(0, 1), keepdim: { as_bool: true } }, 'most'),
  call('clamp.default', { self: T('most'), min: { as_float: 50 } }, 'scale'),
  call('mul.Tensor', { self: T('h'), other: T('p_s') }, 'hs'),
  call('div.Tensor', { self: T('hs'), other: T('scale') }, 'y'),
];
const square = [
  call('mul.Tensor', { self: T('p_s'), other: T('p_s') }, 'ss'),
  call('flip.default', { self: T('h'), dims: ints(0) }, 'turned'),
  call('mul.Tensor', { self: T('turned'), other: T('ss') }, 'moved'),
  call('add.Tensor', { self: T('h'), other: T('moved') }, 'y'),
];

describe('more rows than a file was exported for', () => {
  const refused = { code: 'ERR_UNSUPPORTED_OP', message: expect.stringMatching(/depend on one another/) };

  it('are rows of blocks', async () => {
    const model = await load(scaled);
    const x = rows(6);
    const whole = await matvecOnTheFly({ model, params, x }, v);
    const [first, last] = [0, 9].map((begin) => tensor(x.data.slice(begin, begin + 9), [3, 3]));
    const parts = await Promise.all(
      [first!, last!].map((part) => matvecOnTheFly({ model, params, x: part }, v)),
    );
    whole.forEach((value, at) => {
      expect(value).toBeCloseTo(parts[0]![at]! + parts[1]![at]!, 10);
    });
  });

  it('are refused where what is far in one moves the others, wherever it is', async () => {
    const model = await load(...largest);
    const x = rows(6);
    await expect(matvecOnTheFly({ model, params, x }, v)).resolves.toHaveLength(16);
    for (const row of [0, 2, 3, 5]) {
      const far = tensor(x.data.slice().fill(60, 3 * row, 3 * row + 3), [6, 3]);
      await expect(matvecOnTheFly({ model, params, x: far }, v)).rejects.toMatchObject(refused);
      await expect(model.forward(params, far)).rejects.toMatchObject(refused);
    }
  });

  it('have their places in their own block', async () => {
    const model = await load(...places);
    const x = rows(6);
    const { data } = await model.forward(params, x);
    for (const begin of [0, 9]) {
      const alone = await model.forward(params, tensor(x.data.slice(begin, begin + 9), [3, 3]));
      const block = data.slice((begin / 3) * 5, (begin / 3) * 5 + 15);
      block.forEach((value, at) => {
        expect(value).toBeCloseTo(alone.data[at]!, 12);
      });
    }
  });

  it('are refused where derivatives alone depend on others', async () => {
    const turned = [
      call('flip.default', { self: T('h'), dims: ints(0) }, 'turned'),
      call('mul.Tensor', { self: T('turned'), other: T('p_s') }, 'moved'),
      call('add.Tensor', { self: T('h'), other: T('moved') }, 'y'),
    ];
    const model = await load(...turned);
    await expect(matvecOnTheFly({ model, params: atZero, x: rows(6) }, v)).rejects.toMatchObject(refused);
  });

  it('have no Hessian where they depend on one another in second derivatives', async () => {
    const model = await load(...square);
    const problem = (count: number) => {
      const target = tensor(new Float64Array(5 * count), [count, 5]);
      return { model, params: atZero, x: rows(count), target, loss: 'mse' } as const;
    };
    await expect(hessian(problem(6))).rejects.toMatchObject(refused);
    using whole = await hessian(problem(3));
    expect(whole.shape).toEqual([16, 16]);
  });
});
