/** What hand-written graphs show of effects, of memory by strides and of kernels of other machines. */
import { expect, test } from 'vitest';
import { ekfac, Generator, gaussNewton, kfac, linearize, Model } from '../../../lib/index.ts';
import { call, type GraphNode, ints, pt2, rawNode, tensorArgument as T } from './pt2-file.ts';

const linear = call('linear.default', { input: T('x'), weight: T('p_w') }, 'h');

const x = new Generator(1).randn([3, 3], { dtype: 'float64' });
const params = new Generator(2).randn([15], { dtype: 'float64' }).data;
const forward = async (file: Uint8Array) => [...(await (await Model.load(file)).forward(params, x)).data];

/** A node that has an effect: it takes a token and gives the next. */
const effect = (operator: string, args: readonly unknown[], outputs: readonly unknown[]) => ({
  target: 'torch.ops.higher_order.with_effects',
  inputs: [T('t0'), { as_operator: operator }, ...args].map((arg) => ({ name: '', arg, kind: 1 })),
  outputs: [T('t1'), ...outputs],
  metadata: {},
});

test('an operator with an effect is called for what it gives, and left out where nobody reads that', async () => {
  const sine = effect('torch.ops.aten.sin.default', [T('x')], [T('s')]);
  const print = effect('torch.ops.aten._print.default', [{ as_string: 'a line' }], [{ as_none: true }]);
  const plain = await forward(pt2([call('sin.default', { self: T('x') }, 's'), linear], 's'));
  expect(await forward(pt2([linear], 's', [print, sine]))).toEqual(plain);
});

test('an operator of another library with an effect is refused by its name', async () => {
  const own = effect('torch.ops.mylib.measure.default', [T('x')], [T('s')]);
  await expect(Model.load(pt2([linear], 's', [own]))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/mylib::measure/),
  });
});

test('memory by strides is refused where it is not known to lie in order', async () => {
  const strided = call('as_strided.default', { self: T('h'), size: ints(2, 2), stride: ints(1, 1) }, 'y');
  await expect(Model.load(pt2([linear, strided], 'y'))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/as_strided.*unfold, slices or gather/),
  });
});

test('memory by strides is a choice of elements, and refused where something is changed in place', async () => {
  const strided = call('as_strided.default', { self: T('p_w'), size: ints(3, 2), stride: ints(1, 4) }, 'y');
  expect(await forward(pt2([linear, strided], 'y'))).toEqual([0, 4, 1, 5, 2, 6].map((at) => params[at]));
  const change = call('sin_.default', { self: T('p_w') }, 'c');
  await expect(Model.load(pt2([strided, change], 'y'))).rejects.toThrow(/as_strided.*in place/);
  const effected = effect('torch.ops.aten.sin_.default', [T('p_w')], [T('c')]);
  await expect(Model.load(pt2([strided], 'y', [effected]))).rejects.toThrow(/as_strided.*in place/);
  for (const [size, stride] of [
    [ints(3, 6), ints(1, 3)],
    [ints(2, 2), ints(-1, 1)],
    [ints(16), ints(1)],
  ]) {
    const beyond = call('as_strided.default', { self: T('p_w'), size, stride }, 'y');
    await expect(Model.load(pt2([linear, beyond], 'y'))).rejects.toThrow(/as_strided.*beyond/);
  }
});

test('what is written by strides stands in those places', async () => {
  const where = { size: ints(3, 2), stride: ints(1, 4) };
  const read = call('as_strided.default', { self: T('p_w'), ...where }, 'r');
  const sine = call('sin.default', { self: T('r') }, 's');
  const write = call('as_strided_scatter.default', { self: T('p_w'), src: T('s'), ...where }, 'y');
  const used = call('linear.default', { input: T('x'), weight: T('y') }, 'z');
  const written = params.slice();
  for (const at of [0, 4, 1, 5, 2, 6]) written[at] = Math.sin(params[at]!);
  const expected = await (await Model.load(pt2([linear], 'h'))).forward(written, x);
  const found = await forward(pt2([read, sine, write, used], 'z'));
  found.forEach((value, at) => {
    expect(value).toBeCloseTo(expected.data[at]!, 12);
  });
  const beyond = { size: ints(16), stride: ints(1) };
  for (const inputs of [
    { self: T('p_w'), src: T('s'), ...beyond },
    { self: T('p_w'), src: { as_none: true }, ...where },
  ]) {
    const wrong = call('as_strided_scatter.default', inputs, 'y');
    await expect(Model.load(pt2([linear, read, sine, wrong], 'y'))).rejects.toThrow(
      /as_strided_scatter.*gather/,
    );
  }
  const twice = { size: ints(2, 2), stride: ints(0, 1) };
  const again = call('as_strided.default', { self: T('p_w'), ...twice }, 'r');
  const both = call('as_strided_scatter.default', { self: T('p_w'), src: T('s'), ...twice }, 'y');
  const model = await Model.load(pt2([again, sine, both, used], 'z'));
  await expect(linearize({ model, params, x })).rejects.toMatchObject({ code: 'ERR_UNSUPPORTED_OP' });
});

test('memory by strides is refused where it lay in order for the batch of the export alone', async () => {
  const batch = { as_expr: { expr_str: 's0', hint: { as_int: 3 } } };
  const [one, three, zero] = [1, 3, 0].map((as_int) => ({ as_int }));
  const strided = call('as_strided.default', { self: T('h'), size: ints(2, 2), stride: ints(2, 1) }, 'y');
  const described = (sizes: unknown[], strides: unknown[]) => ({
    h: { dtype: 7, sizes, strides, storage_offset: zero },
  });
  const load = (sizes: unknown[], strides: unknown[]) =>
    Model.load(pt2([linear, strided], 'y', [], {}, described(sizes, strides)));
  await load([batch, three], [three, one]);
  for (const [sizes, strides] of [
    [
      [three, three],
      [batch, one],
    ],
    [
      [three, batch],
      [three, one],
    ],
    [
      [three, batch],
      [batch, one],
    ],
    [
      [batch, three],
      [one, three],
    ],
  ] as const)
    await expect(load([...sizes], [...strides])).rejects.toThrow(/does not lie there in order/);
});

test('memory of many axes is counted as it is read', async () => {
  const axes = Array<number>(64).fill(1);
  const nodes = Array.from({ length: 2000 }, (_, i) =>
    call('as_strided.default', { self: T('p_w'), size: ints(...axes), stride: ints(...axes) }, `y${i}`),
  );
  const sum = nodes
    .slice(1)
    .map((_, i) =>
      call('add.Tensor', { self: T(i === 0 ? 'y0' : `s${i}`), other: T(`y${i + 1}`) }, `s${i + 1}`),
    );
  await expect(
    Model.load(pt2([...nodes, ...sum], `s${sum.length}`), { maxNodes: 1000 }),
  ).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD', message: expect.stringContaining('at most 1000') });
});

const q = call('unsqueeze.default', { self: T('h'), dim: { as_int: 0 } }, 'q3');
const heads = call('unsqueeze.default', { self: T('q3'), dim: { as_int: 0 } }, 'q');
const query = { query: T('q'), key: T('q'), value: T('q') };
const back = call('reshape.default', { self: T('a'), shape: ints(-1, 5) }, 'y');
const KERNELS: Readonly<Record<string, GraphNode>> = {
  efficient: call(
    '_scaled_dot_product_efficient_attention.default',
    {
      ...query,
      attn_bias: { as_none: true },
      compute_log_sumexp: { as_bool: false },
      dropout_p: { as_float: 0 },
    },
    ...['a', 'b', 'c', 'd'],
  ),
  flash: call(
    '_scaled_dot_product_flash_attention.default',
    { ...query, dropout_p: { as_float: 0 }, is_causal: { as_bool: false } },
    ...'abcdefghi',
  ),
  cudnn: call(
    '_scaled_dot_product_cudnn_attention.default',
    { ...query, attn_bias: { as_none: true }, compute_log_sumexp: { as_bool: false } },
    ...'abcdefghi',
  ),
};

test.each(Object.entries(KERNELS))('attention by the %s kernel of a GPU is attention', async (_, kernel) => {
  const plain = call('scaled_dot_product_attention.default', query, 'a');
  const [expected, found] = await Promise.all(
    [plain, kernel].map((each) => Model.load(pt2([linear, q, heads, each, back], 'y'))),
  );
  const v = new Generator(3).randn([15], { dtype: 'float64' }).data;
  const product = async (model: Model) => {
    using lin = await linearize({ model, params, x });
    return [...(await lin.jvp(v)).data];
  };
  expect(await product(found!)).toEqual(await product(expected!));
});

test.each([
  [[1, 2, 0], undefined],
  [[1, 1, 0], /repeats should add up to output_size/],
  [[9, 1, 0], /repeats should add up to output_size/],
  [[4, 0, -1], /negative/],
  [[2 ** 40, 3, 0], /below/],
])('segments of lengths %j', async (lengths, error) => {
  const parts = lengths.map((length, i) =>
    call(
      'full.default',
      { size: ints(1), fill_value: { as_int: length }, dtype: { as_scalar_type: 5 } },
      `n${i}`,
    ),
  );
  const tensors = { as_tensors: lengths.map((_, i) => ({ name: `n${i}` })) };
  const nodes = [linear, ...parts, call('cat.default', { tensors }, 'n')];
  const given = [
    { name: 'data', arg: T('h'), kind: 1 },
    { name: 'reduce', arg: { as_string: 'sum' }, kind: 1 },
    { name: 'lengths', arg: T('n'), kind: 2 },
  ];
  const raw = nodes.map(rawNode);
  const sums = {
    ...raw[0]!,
    target: 'torch.ops.aten.segment_reduce.default',
    inputs: given,
    outputs: [T('s')],
  };
  const run = forward(pt2([], 's', [...raw, sums]));
  if (error !== undefined) await expect(run).rejects.toThrow(error);
  else expect((await run).slice(10)).toEqual(new Array(5).fill(0));
});

test('a parameter without axes has a block of its own', async () => {
  const scale = call('mul.Tensor', { self: T('h'), other: T('p_s') }, 'y');
  const model = await Model.load(pt2([linear, scale], 'y', [], {}, {}, true));
  expect(model.parameters.map(({ shape }) => shape)).toEqual([[], [5, 3]]);
  const given = new Generator(3).randn([16], { dtype: 'float64' }).data;
  const target = { data: Int32Array.of(0, 4, 2), shape: [3] };
  const problem = { model, params: given, x, target, loss: 'cross_entropy' } as const;
  const exact = (await (await gaussNewton(problem)).toDense()).data[0]!;
  for (const make of [kfac, ekfac]) {
    for (const others of ['block', 'diagonal'] as const) {
      for (const chunkSize of [1, 3]) {
        const found = await (await make(problem, { others, chunkSize })).toDense();
        expect(Math.abs(found.data[0]! - exact)).toBeLessThan(1e-12 * exact);
      }
    }
  }
});
