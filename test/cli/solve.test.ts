/** `eigs`, `trace` and `spectrum`, on a linear model for which the answers are known, and on one of PyTorch. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { quantiles } from '../../lib/cli/spectrum.ts';
import { filesOf, npy } from './files.ts';

const LOSS = ['--loss', 'mse', '--target', 'target.npy'];
/** Of J Jᵀ = [[6, 12], [12, 26]]; JᵀJ has 0 as well. */
const [LOW, HIGH] = [16 - Math.sqrt(244), 16 + Math.sqrt(244)];

const JTJ = [
  [10, 14, 4],
  [14, 20, 6],
  [4, 6, 2],
];
const JJT = [
  [6, 12],
  [12, 26],
];

it.each([
  ['gramian', [], JTJ, [0, LOW, HIGH]],
  ['ntk', [], JJT, [LOW, HIGH]],
  ['gauss-newton', LOSS, JTJ, [0, LOW, HIGH]],
  ['empirical-fisher', LOSS, JTJ.map((row) => row.map((each) => each / 2)), [0, LOW / 2, HIGH / 2]],
])('eigs of %s', async (operator, loss, matrix, expected) => {
  const { on, json, array } = await filesOf();
  const files = ['--out', 'values.npy', '--vectors', 'vectors.npy', '--json', 'r.json'];
  const { code, stdout, stderr } = await on('eigs', '--operator', operator, ...loss, ...files);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const n = expected.length;
  expect(stdout).toContain(`${operator} of model.json, [${n}, ${n}], float32 on cpu`);

  const results = await json('r.json');
  expect(results).toMatchObject({
    command: 'eigs',
    operator,
    shape: [n, n],
    dtype: 'float32',
    converged: true,
  });
  expect(results.loss).toBe(loss.length > 0 ? 'mse' : undefined);
  expect(results.residualNorms).toHaveLength(n);
  const values = await array('values.npy');
  expect(values.data).toEqual(results.eigenvalues);
  const { data, shape } = await array('vectors.npy');
  expect(shape).toEqual([n, n]);
  const dot = (a: number[], b: number[]) => a.reduce((sum, each, i) => sum + each * b[i]!, 0);
  expected.forEach((value, i) => {
    expect(values.data[i]).toBeCloseTo(value, 4);
    const q = data.slice(i * n, (i + 1) * n);
    expect(dot(q, q)).toBeCloseTo(1, 5);
    matrix.forEach((row, j) => {
      expect(dot(row, q)).toBeCloseTo(value * q[j]!, 4);
    });
  });
});

it('eigs says in its report what it prints', async () => {
  const { on, folder } = await filesOf();
  const { stdout } = await on('eigs', '--html', 'r.html', '--k', '1');
  const figures = stdout.match(/\d+\.\d+/g)!;
  expect(figures[0]).toBe(String(Number(HIGH.toPrecision(6))));
  const html = await readFile(join(folder, 'r.html'), 'utf8');
  expect(html).toContain(`<td>${figures[0]}</td>`);
  expect(html).not.toMatch(/(src|href)="(https?:)?\/\//);
});

const MLP = fileURLToPath(new URL('../fixtures/models/mlp.pt2', import.meta.url));

async function mlp() {
  const { inputs, output } = JSON.parse(await readFile(MLP.replace(/pt2$/, 'json'), 'utf8'));
  const files = await filesOf({
    'x.npy': npy(Float64Array.from(inputs[0].data), inputs[0].shape),
    'target.npy': npy(new Float64Array(output.data.length), output.shape),
  });
  const on = (command: string, ...args: string[]) =>
    files.run(command, '--model', MLP, '--x', 'x.npy', '--operator', 'hessian', ...LOSS, ...args);
  return { ...files, on };
}

it('eigs that did not converge fails, with what it reached', async () => {
  const { on, json } = await mlp();
  const { code, stdout, stderr } = await on(
    'eigs',
    '--max-iterations',
    '8',
    '--basis',
    '7',
    '--k',
    '2',
    '--json',
    'r.json',
  );
  expect(stderr).toMatch(/^torch-curvature: the eigenvalues did not converge: [^\n]+\n$/);
  expect(stdout).toContain('hessian of');
  expect(code).toBe(1);
  expect(await json('r.json')).toMatchObject({ converged: false, reason: 'maxIterations' });
});

it('the options of eigs arrive: both ends of the spectrum', async () => {
  const { on, json } = await mlp();
  const values = async (...args: string[]) => {
    expect((await on('eigs', ...args, '--json', 'r.json')).code).toBe(0);
    return (await json('r.json')).eigenvalues as number[];
  };
  const all = await values('--k', '54');
  expect(all).toHaveLength(54);
  const ends = await values('--k', '4', '--which', 'BE', '--seed', '3', '--tolerance', '1e-9');
  [all[0], all[1], all[52], all[53]].forEach((each, i) => {
    expect(ends[i]).toBeCloseTo(each!, 6);
  });
});

it('trace: exact where Hutch++ has all of it, and by the seed', async () => {
  const { on, json } = await filesOf();
  const estimate = async (...args: string[]) => {
    const { code, stdout } = await on('trace', ...args, '--json', 'r.json');
    expect(code).toBe(0);
    const found = await json('r.json');
    expect(stdout).toContain(`trace ${Number(found.estimate.toPrecision(6))}, standard error`);
    return found;
  };
  const exact = await estimate('--method', 'hutch++', '--samples', '30');
  expect(exact.estimate).toBeCloseTo(32, 3);
  expect(exact).toMatchObject({ method: 'hutch++', command: 'trace', seed: 0 });
  const first = await estimate('--samples', '4', '--seed', '5');
  expect((await estimate('--samples', '4', '--seed', '5')).estimate).toBe(first.estimate);
  const many = await estimate('--samples', '2000', '--seed', '5');
  expect(many.products).toBe(2000);
  expect(Math.abs(many.estimate - 32)).toBeLessThan(5 * many.standardError);
});

it('spectrum: a density of mass 1 around the eigenvalues', async () => {
  const { on, json, array, folder } = await filesOf();
  const files = ['--out', 'd.npy', '--json', 'r.json', '--html', 'r.html'];
  const { code, stdout, stderr } = await on('spectrum', '--probes', '20', '--grid-points', '400', ...files);
  expect(stderr).toBe('');
  expect(code).toBe(0);
  expect(stdout).toMatch(/ 100 % +│ +31\.62/);
  const { data, shape } = await array('d.npy');
  expect(shape).toEqual([2, 400]);
  const [grid, density] = [data.slice(0, 400), data.slice(400)];
  const results = await json('r.json');
  expect(grid).toEqual(results.grid);
  expect(density).toEqual(results.density);
  const step = grid[1]! - grid[0]!;
  expect(step * density.reduce((sum, each) => sum + each, 0)).toBeCloseTo(1, 3);
  const nodes: number[] = results.nodes;
  for (const node of nodes)
    expect(Math.min(...[0, LOW, HIGH].map((each) => Math.abs(each - node)))).toBeLessThan(1e-3);
  expect(await readFile(join(folder, 'r.html'), 'utf8')).toContain('id="density"');
});

it('quantiles of nodes and weights', () => {
  const found = quantiles({
    nodes: { data: new Float64Array([1, 3, 0, 2]), shape: [2, 2] },
    weights: { data: new Float64Array([0.5, 0.5, 0.9, 0.1]), shape: [2, 2] },
  });
  expect(found).toEqual([
    [0, 0],
    [0.01, 0],
    [0.1, 0],
    [0.25, 0],
    [0.5, 1],
    [0.75, 2],
    [0.9, 3],
    [0.99, 3],
    [1, 3],
  ]);
});

it.each(['eigs', 'trace', 'spectrum'])('%s of what has no eigenvalues is wrong usage', async (command) => {
  const { on } = await filesOf();
  const { code, stderr } = await on(command, '--operator', 'jacobian');
  expect(stderr).toContain('Allowed choices are gramian, ntk, gauss-newton');
  expect(code).toBe(2);
});

it('NaN in the data is a failed run', async () => {
  const { on } = await filesOf({ 'x.npy': npy(new Float32Array([1, Number.NaN, 3, 4]), [2, 2]) });
  for (const command of ['eigs', 'spectrum']) {
    const { code, stderr } = await on(command);
    expect(stderr).toMatch(/^torch-curvature: .*NaN/);
    expect(code).toBe(1);
  }
});
