/** `matvec` with every operator, on a linear model for which all of them are known. */
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { operatorName } from '../../lib/cli/operator.ts';
import { MODEL_OPERATORS, type ModelOperator } from '../../lib/operators/kinds.ts';
import { byCounts, someOf } from '../support/counts.ts';
import { filesOf, npy, safetensors } from './files.ts';

const LOSS = ['--loss', 'mse', '--target', 'target.npy'];

const huber = (...more: string[]) => ['--loss', 'huber', '--target', 'target.npy', ...more];

/**
 * With J = [[1, 2, 1], [3, 4, 1]] and v = [1, -1, ½], J v = [-½, -½] and JᵀJ v = [-2, -3, -1]. The squared error of two
 * outputs has the Hessian ½ · 2 I by them, so that Gauss–Newton and Hessian are JᵀJ. The empirical Fisher is
 * ½ Σ (2 r)² Jᵢ Jᵢᵀ with r = ±½, half of it.
 */
const PRODUCTS: readonly [name: string, options: string[], v: string, product: number[]][] = [
  ['gramian', [], 'v.npy', [-2, -3, -1]],
  ['gramian', ['--weights', 'weights.npy'], 'v.npy', [-0.5, -1, -0.5]],
  ['gramian', ['--center'], 'e.npy', [2, 2, 0]],
  ['gramian', ['--engine', 'autograd', '--chunk-size', '1'], 'v.npy', [-2, -3, -1]],
  ['jacobian', [], 'v.npy', [-0.5, -0.5]],
  ['jacobian', ['--transpose'], 'u.npy', [7, 10, 3]],
  ['ntk', [], 'u.npy', [30, 64]],
  ['gauss-newton', LOSS, 'v.npy', [-2, -3, -1]],
  ['gauss-newton', [...LOSS, '--reduction', 'sum'], 'v.npy', [-4, -6, -2]],
  ['hessian', LOSS, 'v.npy', [-2, -3, -1]],
  ['empirical-fisher', LOSS, 'v.npy', [-1, -1.5, -0.5]],
  ['hessian', [...LOSS, '--l2', '0.5'], 'v.npy', [-1.5, -3.5, -0.75]],
  // A parabola of half the height, and a line beyond delta.
  ['hessian', huber(), 'v.npy', [-1, -1.5, -0.5]],
  ['hessian', huber('--loss-option', 'delta=0.25'), 'v.npy', [0, 0, 0]],
  // Exact, as the Hessian by the one output is the same for all rows.
  ['kfac', LOSS, 'v.npy', [-2, -3, -1]],
  ['ekfac', LOSS, 'v.npy', [-2, -3, -1]],
  ['kfac', [...LOSS, '--fisher', 'empirical'], 'v.npy', [-1, -1.5, -0.5]],
  // Halves of the gradients of r², r = [½, -½].
  ['per-sample-gradients', LOSS, 'v.npy', [-0.25, 0.25]],
  // The outputs are the loss: half of Σ Jᵢ Jᵢᵀ.
  ['empirical-fisher', ['--loss', 'output'], 'v.npy', [-1, -1.5, -0.5]],
];

const MORE = {
  'u.npy': npy(new Float32Array([1, 2]), [2]),
  'e.npy': npy(new Float32Array([1, 0, 0]), [3]),
  'weights.npy': npy(new Float32Array([1, 0]), [2]),
};

const expectNear = (data: readonly number[], expected: readonly number[]) => {
  expect(data).toHaveLength(expected.length);
  data.forEach((each, i) => {
    expect(each).toBeCloseTo(expected[i]!, 4);
  });
};

it.each(someOf(PRODUCTS))('%s %j', async (name, options, v, product) => {
  const { on, array } = await filesOf(MORE);
  const outcome = await on('matvec', '--operator', name, ...options, '--v', v, '--out', 'out.npy');
  expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' });
  const { data, shape, dtype } = await array('out.npy');
  expect({ shape, dtype }).toEqual({ shape: [product.length], dtype: 'f4' });
  expectNear(data, product);
});

it('fisher: its mean over many draws is Gauss–Newton, and the seed decides', async () => {
  const { on, array } = await filesOf();
  const fisher = async (out: string, ...more: string[]) => {
    const args = ['--operator', 'fisher', ...LOSS, '--v', 'v.npy', '--out', out, ...more];
    expect(await on('matvec', ...args)).toEqual({ code: 0, stdout: '', stderr: '' });
    return (await array(out)).data;
  };
  const draws = byCounts(2000, 20_000);
  const product = await fisher('many.npy', '--mc-samples', String(draws), '--seed', '1');
  const near = 0.1 * Math.sqrt(20_000 / draws);
  for (const [i, each] of [-2, -3, -1].entries()) expect(Math.abs(product[i]! / each - 1)).toBeLessThan(near);
  const first = await fisher('first.npy', '--seed', '1');
  expect(await fisher('again.npy', '--seed', '1')).toEqual(first);
  expect(await fisher('other.npy', '--seed', '2')).not.toEqual(first);
});

it('gramian-imaginary: outputs are pairs of real and imaginary parts', async () => {
  const { on, array } = await filesOf({
    'model.json': JSON.stringify({ layers: [['linear', 2, 2]] }),
    'params.npy': npy(new Float32Array(6), [6]),
    'v.npy': npy(new Float32Array([0, 0, 1, 0, 0, 0]), [6]),
  });
  const outcome = await on('matvec', '--operator', 'gramian-imaginary', '--v', 'v.npy', '--out', 'out.npy');
  expect(outcome.stderr).toBe('');
  expectNear((await array('out.npy')).data, [10, 14, 0, 0, 4, 0]);
});

it('a loss that is a model: squared errors of each row, four times their mean', async () => {
  const numbers = (length: number) => Float32Array.from({ length }, (_, i) => Math.sin(i));
  const { on, array } = await filesOf({
    'model.json': JSON.stringify({ layers: [['linear', 2, 4]] }),
    'params.npy': npy(numbers(12), [12]),
    'v.npy': npy(numbers(12), [12]),
    'target.npy': npy(new Float32Array(8), [2, 4]),
  });
  const hessian = async (loss: string) => {
    const args = ['--operator', 'hessian', '--loss', loss, '--target', 'target.npy', '--v', 'v.npy'];
    expect((await on('matvec', ...args, '--out', 'out.npy')).stderr).toBe('');
    return (await array('out.npy')).data;
  };
  const rows = fileURLToPath(new URL('../fixtures/losses/squared-rows.pt2', import.meta.url));
  const mean = await hessian('mse');
  expect(Math.max(...mean.map(Math.abs))).toBeGreaterThan(0.1);
  expectNear(
    await hessian(rows),
    mean.map((each) => 4 * each),
  );
});

it('every operator of the table is among them', () => {
  const named = new Set([...PRODUCTS.map(([name]) => name), 'fisher', 'gramian-imaginary']);
  expect(named).toEqual(
    new Set(Object.keys(MODEL_OPERATORS).map((kind) => operatorName(kind as ModelOperator))),
  );
});

it.each(someOf([['hessian', ...LOSS], ['gramian']]))(
  'several vectors at once, %s',
  async (name, ...options) => {
    const { on, array } = await filesOf({ 'v.npy': npy(new Float32Array([1, -1, 0.5, 1, 0, 0]), [2, 3]) });
    const args = ['--operator', name, ...options, '--v', 'v.npy', '--out', 'out.npy'];
    expect((await on('matvec', ...args)).stderr).toBe('');
    const { data, shape } = await array('out.npy');
    expect(shape).toEqual([2, 3]);
    expectNear(data, [-2, -3, -1, 10, 14, 4]);
  },
);

describe('safetensors', () => {
  const FILES = {
    'data.safetensors': safetensors({
      x: { data: [1, 2, 3, 4], shape: [2, 2] },
      t: { data: [0, 0], shape: [2, 1] },
    }),
    'one.safetensors': safetensors({ x: { data: [1, 2, 3, 4], shape: [2, 2] } }),
    'weights.safetensors': safetensors({
      'layer.weight': { data: [0, 0], shape: [1, 2] },
    }),
    'named.safetensors': safetensors({
      '0.bias': { data: [0.5], shape: [1] },
      '0.weight': { data: [1, -1], shape: [1, 2] },
    }),
  };
  const matvec = ['--model', 'model.json', '--params', 'params.npy', '--out', 'out.npy'];

  it.each([
    ['data.safetensors:x', 'v.npy'],
    ['one.safetensors', 'named.safetensors'],
  ])('x of %s, v of %s', async (x, v) => {
    const { run, array } = await filesOf(FILES);
    expect((await run('matvec', ...matvec, '--x', x, '--v', v)).stderr).toBe('');
    expectNear((await array('out.npy')).data, [-2, -3, -1]);
  });

  const refused: [string, RegExp][] = [
    ['data.safetensors', /say which array, data\.safetensors:NAME; it holds x, t/],
    ['data.safetensors:y', /there is no array 'y'/],
    ['none.safetensors:x', /none\.safetensors.*\(ERR_MODEL_LOAD\)/],
  ];
  it.each(someOf(refused))('%s is refused', async (x, reason) => {
    const { run } = await filesOf(FILES);
    const { code, stderr } = await run('matvec', ...matvec, '--x', x, '--v', 'v.npy');
    expect(stderr).toMatch(reason);
    expect(code).toBe(1);
  });

  it('of several that cannot be read it is the first that is named, however long that takes', async () => {
    const { run } = await filesOf(FILES);
    const inputs = ['--x', 'data.safetensors:y', '--x', 'nowhere.npy', '--x', 'one.safetensors:z'];
    const { code, stderr } = await run('matvec', ...matvec, ...inputs, '--v', 'v.npy');
    expect(stderr).toMatch(/^torch-curvature: data\.safetensors: there is no array 'y'/);
    expect(code).toBe(1);
  });

  it('parameters of another model are refused by name', async () => {
    const { on } = await filesOf(FILES);
    const args = ['--params', 'weights.safetensors', '--v', 'v.npy', '--out', 'out.npy'];
    const { code, stderr } = await on('matvec', ...args);
    expect(stderr).toMatch(/'layer\.weight', which is no parameter/);
    expect(code).toBe(1);
  });
});

describe('options that do not fit together are wrong usage', () => {
  const wrong: [string[], RegExp][] = [
    [['--operator', 'hessian'], /--operator hessian is that of a loss: give --loss and --target/],
    [['--operator', 'hessian', '--loss', 'mse'], /give --loss and --target/],
    [['--loss', 'mse'], /--loss is not for --operator gramian, but for gauss-newton, hessian/],
    [['--operator', 'fisher', ...LOSS, '--l2', '1'], /--l2 is not for --operator fisher/],
    [['--operator', 'fisher', ...LOSS, '--fisher', 'mc'], /--fisher is not for .* but for kfac, ekfac/],
    [['--operator', 'hessian', ...huber('--loss-option', 'delta')], /Expected NAME=VALUE/],
    [['--operator', 'hessian', '--loss', 'm.pt2', '--loss-option', 'a=1'], /not for a loss that is a model/],
    [['--operator', 'hessian', ...LOSS, '--center'], /--center is not for --operator hessian/],
    [['--operator', 'hessian', ...LOSS, '--mc-samples', '2'], /--mc-samples is not for .* but for fisher/],
    [['--operator', 'ntk', '--method', 'dense'], /--method dense is for --operator gramian/],
    [['--dtype', 'float64'], /cannot be used with option '--params/],
  ];
  it.each(someOf(wrong))('%j', async (options, reason) => {
    const { on } = await filesOf();
    const { code, stdout, stderr } = await on('matvec', ...options, '--v', 'v.npy', '--out', 'out.npy');
    expect(stderr).toMatch(reason);
    expect(stdout).toBe('');
    expect(code).toBe(2);
  });
});

it("the loss 'output' asks for no target", async () => {
  const { on } = await filesOf();
  const options = ['--operator', 'gauss-newton', '--loss', 'output', '--v', 'v.npy', '--out', 'out.npy'];
  const { code, stderr } = await on('matvec', ...options);
  expect(stderr).toMatch(/the loss 'output'/); // which has no such matrix
  expect(code).toBe(1);
});

describe('a result is there as a whole or not at all', () => {
  it('takes the place of what was there, with its permissions', async () => {
    const { on, array, folder } = await filesOf({ 'out.npy': 'before' });
    await chmod(join(folder, 'out.npy'), 0o640);
    expect((await on('matvec', '--v', 'v.npy', '--out', 'out.npy')).code).toBe(0);
    expect((await array('out.npy')).data).toEqual([-2, -3, -1]);
    expect((await stat(join(folder, 'out.npy'))).mode & 0o777).toBe(0o640);
    expect((await readdir(folder)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('after a failure what was there is as it was', async () => {
    const { on, folder } = await filesOf({ 'v.npy': npy(new Float32Array(4), [4]) });
    await writeFile(join(folder, 'out.npy'), 'before');
    expect((await on('matvec', '--v', 'v.npy', '--out', 'out.npy')).code).toBe(1);
    expect(await readFile(join(folder, 'out.npy'), 'utf8')).toBe('before');
  });
});
