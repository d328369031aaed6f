/** Changes in place in hand-written graphs: what cannot be followed is refused. */
import { expect, test } from 'vitest';
import { Model } from '../../../lib/index.ts';
import { type GraphNode, pt2, tensorArgument as T } from './pt2-file.ts';

const call = (op: string, names: readonly [string, unknown][], result: string): GraphNode => [
  `torch.ops.aten.${op}`,
  names,
  [result],
];
const h = call(
  'linear.default',
  [
    ['input', T('x')],
    ['weight', T('p_w')],
  ],
  'h',
);
const select = (self: string, index: number, result: string) =>
  call(
    'select.int',
    [
      ['self', T(self)],
      ['dim', { as_int: 1 }],
      ['index', { as_int: index }],
    ],
    result,
  );
const fill = (self: string, value: number, result: string) =>
  call(
    'fill_.Scalar',
    [
      ['self', T(self)],
      ['value', { as_float: value }],
    ],
    result,
  );
const like = (result: string) => call('empty_like.default', [['self', T('h')]], result);
const add = (self: string, other: string, result: string) =>
  call(
    'add.Tensor',
    [
      ['self', T(self)],
      ['other', T(other)],
    ],
    result,
  );

const x = { data: new Float64Array(6).fill(1), shape: [2, 3] };
const run = async (nodes: readonly GraphNode[], output: string) => {
  const model = await Model.load(pt2(nodes, output));
  return [...(await model.forward(new Float64Array(15).fill(1 / 3), x)).data].map((value) =>
    Number(value.toFixed(9)),
  );
};

test('a change of a view is seen in what it is a view of, in other views, and in its own result', async () => {
  const nodes = [h, select('h', 0, 'a'), select('h', 0, 'b'), fill('a', 5, 'c'), add('h', 'h', 'd')];
  expect(await run(nodes, 'd')).toEqual([10, 2, 2, 2, 2, 10, 2, 2, 2, 2]);
  expect(await run(nodes, 'b')).toEqual([5, 5]);
  expect(await run(nodes, 'c')).toEqual([5, 5]);
});

test('an earlier result keeps the value from before', async () => {
  const nodes = [h, add('h', 'h', 'd'), select('h', 0, 'a'), fill('a', 5, 'c'), add('d', 'h', 'e')];
  expect(await run(nodes, 'e')).toEqual([7, 3, 3, 3, 3, 7, 3, 3, 3, 3]);
});

test('memory that is written in parts is NaN elsewhere, and refused where nothing was written', async () => {
  const nodes = [h, like('e'), select('e', 1, 'a'), fill('a', 5, 'c'), add('e', 'h', 'd')];
  const [first, second] = await run(nodes, 'd');
  expect(first).toBeNaN();
  expect(second).toBe(6);
  await expect(run([h, like('e'), add('e', 'h', 'd')], 'd')).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/aten::add.*nothing has written to/),
  });
});

test('a change through expanded axes is refused with the line to write', async () => {
  const expanded = call(
    'expand.default',
    [
      ['self', T('h')],
      ['size', { as_ints: [2, -1, -1] }],
    ],
    'a',
  );
  await expect(run([h, expanded, fill('a', 5, 'c'), add('h', 'h', 'd')], 'd')).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/aten::fill_.*aten::expand.*run_decompositions/),
  });
});

test('where the graph does not tell whether memory is shared, a read of the other is refused', async () => {
  const reshaped = call(
    'reshape.default',
    [
      ['self', T('h')],
      ['shape', { as_ints: [-1, 5] }],
    ],
    'a',
  );
  const nodes = [h, reshaped, fill('a', 5, 'c')];
  expect(await run(nodes, 'c')).toEqual(new Array(10).fill(5));
  await expect(run([...nodes, add('h', 'c', 'd')], 'd')).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/aten::fill_.*may share/),
  });
});

test('a few lines do not become a program without end', async () => {
  const nodes = [h, select('h', 0, 'v0')];
  const deeper = (self: string, result: string) =>
    call(
      'unsqueeze.default',
      [
        ['self', T(self)],
        ['dim', { as_int: 0 }],
      ],
      result,
    );
  const depth = 400;
  for (let i = 0; i < depth; i++) nodes.push(deeper(`v${i}`, `v${i + 1}`));
  for (let i = 0; i < 200; i++) {
    nodes.push(fill('h', i, `c${i}`), fill(`v${depth}`, i, `d${i}`), add(`v${depth}`, 'h', `e${i}`));
  }
  const sums = nodes.filter(([target]) => target.includes('.add.')).map(([, , [name]]) => name!);
  const total = sums.slice(1).reduce<{ nodes: GraphNode[]; name: string }>(
    ({ nodes: before, name }, each, i) => ({
      nodes: [...before, add(name, each, `s${i}`)],
      name: `s${i}`,
    }),
    { nodes: [], name: sums[0]! },
  );
  await expect(Model.load(pt2([...nodes, ...total.nodes], total.name))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/more often than can be followed/),
  });
});

test('what draws random numbers in place is refused for that', async () => {
  const nodes = [h, call('normal_.default', [['self', T('h')]], 'a')];
  await expect(Model.load(pt2(nodes, 'a'))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(/aten::normal_ draws random numbers.*pass them as an input/),
  });
});
