/** What TorchScript holds beside operators on tensors (scripts/reference/torchscript.py): right as PyTorch's, or refused. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  gaussNewton,
  hessian,
  linearize,
  Model,
  matvecDense,
  matvecOnTheFly,
  ntk,
  perSampleGradients,
  type Tensor,
} from '../../../lib/index.ts';
import { relativeError } from './fixtures.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/torchscript');
const FILES = readdirSync(FOLDER).filter((file) => file.endsWith('.pt'));

interface Stored {
  shape: number[];
  data: number[];
}
interface Expected {
  x: Stored;
  y: Stored;
  params: Record<string, Stored>;
  gradient: number[];
}

const load = (file: string, output?: string | number) =>
  Model.load(join(FOLDER, file), { trusted: true, ...(output !== undefined && { output }) });
/** Of several results the one that is looked at. */
const SEVERAL: Readonly<Record<string, string>> = { 'dicts.script.pt': 'y', 'named.script.pt': 'y' };
const expectedOf = (file: string): Expected =>
  JSON.parse(readFileSync(join(FOLDER, file.replace(/pt$/, 'json')), 'utf8'));
const tensorOf = ({ shape, data }: Stored): Tensor<Float64Array> => ({
  shape,
  data: Float64Array.from(data),
});

const RIGHT = FILES.filter((file) => !/^(refused|unfit)-/.test(file));

test.each(RIGHT)('%s is what PyTorch computes, in every row and each time it is loaded', async (file) => {
  const expected = expectedOf(file);
  for (let i = 0; i < 3; i++) {
    const model = await load(file, SEVERAL[file]);
    expect(model.parameters.map(({ name }) => name)).toEqual(Object.keys(expected.params));
    const params = model.init() as Float64Array;
    expect([...params]).toEqual(Object.values(expected.params).flatMap(({ data }) => data));
    const problem = { model, params, x: tensorOf(expected.x) };
    expect(relativeError((await model.forward(params, problem.x)).data, expected.y.data)).toBeLessThan(1e-12);
    using lin = await linearize(problem);
    const ones = new Float64Array(expected.y.data.length).fill(1);
    expect(relativeError(await lin.vjp(ones), expected.gradient)).toBeLessThan(1e-12);
    const v = params.map((_, place) => Math.sin(place));
    const product = await matvecOnTheFly(problem, v);
    expect(relativeError(await matvecDense(problem, v), [...product])).toBeLessThan(1e-12);
    expect(relativeError(await matvecOnTheFly(problem, v, { chunkSize: 1 }), [...product])).toBeLessThan(
      1e-12,
    );
  }
});

test.each(Object.keys(SEVERAL))('%s has names for its results', async (file) => {
  expect((await load(file, 1)).outputs.map(({ name }) => name)).toEqual(['x', 'y']);
  await expect(load(file)).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringContaining("returns 2 values: 'x', 'y'; choose one by its name or number"),
  });
  await expect(load(file, 'z')).rejects.toMatchObject({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringContaining(
      "output should be one of those that the model returns: 'x', 'y', got 'z'",
    ),
  });
});

const UNFIT = FILES.filter((file) => file.startsWith('unfit-') && !file.includes('waves'));

test.each(UNFIT)('%s refuses an input that PyTorch refuses', async (file) => {
  const model = await load(file);
  const problem = { model, params: model.init(), x: tensorOf(expectedOf(file).x) };
  const refused = { code: 'ERR_SHAPE_MISMATCH' };
  await expect(model.forward(problem.params, problem.x)).rejects.toMatchObject(refused);
  await expect(linearize(problem)).rejects.toMatchObject(refused);
  await expect(matvecOnTheFly(problem, problem.params)).rejects.toMatchObject(refused);
});

test.each(['trace', 'script'])('no product of complex results is of their real parts: %s', async (format) => {
  const model = await load(`unfit-waves.${format}.pt`);
  const x = tensorOf(expectedOf(`unfit-waves.${format}.pt`).x);
  const problem = { model, params: model.init(), x };
  const squares = { ...problem, loss: 'mse', target: { data: new Float64Array(20), shape: [5, 4] } } as const;
  const refused = { code: 'ERR_DTYPE_MISMATCH', message: expect.stringContaining('torch.view_as_real(y)') };
  for (const make of [
    () => matvecOnTheFly(problem, problem.params),
    () => matvecDense(problem, problem.params),
    () => linearize(problem),
    () => ntk(problem),
    () => hessian(squares),
    () => gaussNewton(squares),
    () => perSampleGradients(squares),
  ])
    await expect(make()).rejects.toMatchObject(refused);
});

/** What each is refused for. */
const REASONS: Readonly<Record<string, RegExp>> = {
  counted: /aten::(Int|IntImplicit).* takes a value out of the data/,
  'counted-locally': /aten::Int.* takes a value out of the data|known only when the model runs/,
  hooked: /forward hooks.*torch\.jit\.script\(torch\.nn\.Sequential\(model\)\)/,
  large: /9007199254740993, beyond ±2\^53/,
  largest: /9223372036854775807, beyond ±2\^53/,
  divided: /divides a whole number by 0/,
  doubled: /that is too long|repeats too often/,
  together:
    /takes xs, which holds several tensors; .*`def forward\(self, a, b\): return self\.model\(\[a, b\]\)`/,
  parts: /a part of the sizes of a tensor.*rows, columns = x\.shape/,
  branches: /branches on aten::dim, .*torch\.jit\.trace\(model, x\)\.save\('model\.pt'\)/,
  reshaped: /changes the shape of a tensor in place, whose sizes were asked for before/,
  equal: /branches on/,
  learned: /aten::item takes a value out of the data/,
  'learned-list': /prim::tolist has no place in a straight-line program/,
};

test.each(Object.entries(REASONS))('%s is refused when it is loaded', async (name, message) => {
  const files = ['script', 'trace'].map((format) => `refused-${name}.${format}.pt`);
  for (const file of files.filter((each) => existsSync(join(FOLDER, each)))) {
    await expect(load(file)).rejects.toMatchObject({
      code: expect.stringMatching(/ERR_UNSUPPORTED_OP|ERR_MODEL_LOAD/),
      message: expect.stringMatching(message),
    });
  }
});
