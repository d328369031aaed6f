/** Arithmetic on sizes, with the results of Python. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Model } from '../../../lib/index.ts';
import { type GraphNode, pt2, tensorArgument } from './pt2-file.ts';

type Value = string | number | { real: number };

const ROWS = 7;

/** A number, the name of one, or one with a point. */
function argument(value: Value): object {
  if (typeof value === 'string') return { as_sym_int: { as_name: value } };
  return typeof value === 'number' ? { as_int: value } : { as_float: value.real };
}

function node(target: string, operands: readonly Value[], result: string): object {
  return {
    target,
    inputs: operands.map((value, index) => ({ name: `a${index}`, arg: argument(value), kind: 1 })),
    outputs: [{ as_sym_float: { as_name: result } }],
    metadata: {},
  };
}

/** The number of rows. */
const n = {
  target: 'torch.ops.aten.sym_size.int',
  inputs: [
    { name: 'self', arg: tensorArgument('x'), kind: 1 },
    { name: 'dim', arg: { as_int: 0 }, kind: 1 },
  ],
  outputs: [{ as_sym_int: { as_name: 'n' } }],
  metadata: {},
};

async function run(nodes: readonly GraphNode[], sizes: readonly object[]): Promise<number> {
  const linear: GraphNode = [
    'torch.ops.aten.linear.default',
    [
      ['input', tensorArgument('x')],
      ['weight', tensorArgument('p_w')],
    ],
    ['h'],
  ];
  const model = await Model.load(pt2([linear, ...nodes], 'y', [n, ...sizes]));
  const x = { data: new Float64Array(ROWS * 3).fill(1), shape: [ROWS, 3] };
  const { data } = await model.forward(new Float64Array(15).fill(1 / 3), x); // h is 1
  return data[0]!;
}

const times: GraphNode = [
  'torch.ops.aten.mul.Tensor',
  [
    ['self', tensorArgument('h')],
    ['other', { as_sym_float: { as_name: 'r' } }],
  ],
  ['y'],
];

test.each<[string, readonly Value[], number]>([
  ['_operator.add', ['n', 3], 10],
  ['_operator.sub', [3, 'n'], -4],
  ['_operator.mul', ['n', { real: 0.5 }], 3.5],
  ['_operator.floordiv', ['n', -2], -4],
  ['_operator.floordiv', ['n', { real: 2.5 }], 2],
  ['_operator.mod', ['n', -4], -1],
  ['_operator.mod', [-10, 'n'], 4],
  ['_operator.truediv', ['n', 2], 3.5],
  ['_operator.pow', ['n', 3], 343],
  ['_operator.pow', ['n', 0], 1],
  ['_operator.pow', ['n', -1], 1 / 7],
  ['_operator.pow', [-1, 'n'], -1],
  ['_operator.pow', ['n', { real: 0.5 }], Math.sqrt(7)],
  ['_operator.neg', ['n'], -7],
  ['_operator.lt', ['n', 8], 1],
  ['_operator.ge', ['n', 8], 0],
  ['_operator.eq', ['n', { real: 7 }], 1],
  ['torch.sym_not', ['n'], 0],
  ['torch.sym_max', ['n', { real: 9.5 }], 9.5],
  ['torch.sym_min', ['n', 100], 7],
  ['torch.sym_ite', [0, 5, 'n'], 7],
  ['torch.sym_int', [{ real: -2.7 }], -2],
  ['torch._sym_sqrt', ['n'], Math.sqrt(7)],
  ['math.trunc', [{ real: 2.9 }], 2],
])('%s(%j)', async (target, operands, expected) => {
  expect(await run([times], [node(target, operands, 'r')])).toBeCloseTo(expected, 12);
});

const full: GraphNode = [
  'torch.ops.aten.full.default',
  [
    ['size', { as_sym_ints: [{ as_name: 'r' }] }],
    ['fill_value', { as_int: 1 }],
  ],
  ['f'],
];
const sum: GraphNode = ['torch.ops.aten.sum.default', [['self', tensorArgument('f')]], ['s']];
const plus: GraphNode = [
  'torch.ops.aten.add.Tensor',
  [
    ['self', tensorArgument('h')],
    ['other', tensorArgument('s')],
  ],
  ['y'],
];

test('a whole number is a size', async () => {
  expect(await run([full, sum, plus], [node('_operator.floordiv', ['n', 2], 'r')])).toBeCloseTo(1 + 3, 12);
});

test.each<[string, readonly GraphNode[], string, readonly Value[]]>([
  ['a size that is no whole number', [full, sum, plus], '_operator.truediv', ['n', 2]],
  ['a division by zero', [times], '_operator.truediv', ['n', 0]],
  ['a remainder of zero', [times], '_operator.mod', ['n', 0]],
  ['more than 64 bits', [times], '_operator.pow', ['n', 100]],
])('%s is refused', async (_, nodes, target, operands) => {
  await expect(run(nodes, [node(target, operands, 'r')])).rejects.toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
  });
});

test.each([3, 8])('functions of sizes in TorchScript, of %i columns', async (n) => {
  const file = join(import.meta.dirname, '../../fixtures/sizes/functions.script.pt');
  const model = await Model.load(file, { trusted: true });
  const x = { data: new Float64Array(2 * n).fill(1 / n), shape: [2, n] };
  const { data } = await model.forward(Float64Array.of(1, -2), x);
  const factor =
    Math.log(n) +
    Math.exp(-n) +
    Math.sin(n) * Math.tanh(n / 7) +
    Math.atan(n) -
    Math.cosh(0.1 * n) / Math.cos(n);
  [1, -2, 1, -2].forEach((w, i) => {
    expect(data[i]).toBeCloseTo(w * factor, 11);
  });
});
