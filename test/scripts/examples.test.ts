/** The examples do what they claim. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';
import { hessian, type LossProblem, Model, nn, type Tensor } from '../../lib/index.ts';
import { chromiumPath } from '../support/chromium.ts';
import { someOf } from '../support/counts.ts';
import { openPage } from '../support/open-page.ts';

const SCRIPT = fileURLToPath(new URL('../../scripts/examples/run.mjs', import.meta.url));
const browser = chromiumPath();

async function example(name: string, args: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const [html, json] = [join(folder, 'page.html'), join(folder, 'results.json')];
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [SCRIPT, name, ...args, '--html', html, '--json', json],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  expect(status).toBe(0);
  const results = JSON.parse(await readFile(json, 'utf8'));
  if (browser === undefined)
    console.warn(`${name}: its page was not opened, as there is no Chromium on PATH`);
  else await opens(html, browser);
  return { stdout, results };
}

it('the natural gradient gets further than Adam in the same time', { timeout: 120_000 }, async () => {
  const { stdout, results } = await example('natural-gradient', ['--steps', '80']);
  const { natural, adam } = results;
  expect(natural.losses[0]).toBeCloseTo(adam.losses[0], 10);
  expect(natural.losses).toEqual([...natural.losses].sort((a, b) => b - a));
  expect(adam.seconds.at(-1)).toBeGreaterThan(0.9 * natural.seconds.at(-1));
  expect(Math.min(...adam.losses)).toBeLessThan(0.2 * adam.losses[0]);
  expect(natural.losses.at(-1)).toBeLessThan(0.1 * Math.min(...adam.losses));
  expect(stdout).toMatch(
    /^natural gradient lowest loss \S+ in \S+ s, 80 steps\nAdam +lowest loss .* steps\n/,
  );
});

it('the spectrum is that of the dense Hessian', { timeout: 120_000 }, async () => {
  const { stdout, results } = await example('hessian-spectrum', ['--steps', '15']);
  const { losses, converged, largest, smallest, grid, density } = results;
  expect(losses).toHaveLength(16);
  expect(losses).toEqual([...losses].sort((a, b) => b - a));
  expect(losses.at(-1)).toBeLessThan(0.05 * losses[0]);
  expect(converged).toBe(true);
  expect(stdout).toMatch(/largest eigenvalues .*\nsmallest eigenvalues .*-/);

  const matrix = await denseHessian(results);
  const count = eigenvaluesBelow(matrix);
  const n = matrix.shape[0]!;
  const near = 1e-6 * largest.at(-1);
  // The i-th of them lies where the i-th eigenvalue of the matrix does.
  for (const [i, each] of smallest.entries()) {
    expect(count(each - near)).toBeLessThanOrEqual(i);
    expect(count(each + near)).toBeGreaterThan(i);
  }
  for (const [i, each] of [...largest].reverse().entries()) {
    expect(n - count(each + near)).toBeLessThanOrEqual(i);
    expect(n - count(each - near)).toBeGreaterThan(i);
  }

  const step = grid[1] - grid[0];
  const moment = (power: number) =>
    density.reduce((sum: number, each: number, i: number) => sum + step * each * grid[i] ** power, 0);
  // n ∫ λ ρ(λ) dλ is the mean of zᵀA z over ten z of ±1, whose variance is 2 Σ aᵢⱼ² over i ≠ j.
  let [trace, variance] = [0, 0];
  matrix.data.forEach((each, i) => {
    if (i % (n + 1) === 0) trace += each;
    else variance += (2 * each ** 2) / 10;
  });
  expect(density.every((each: number) => each >= 0)).toBe(true);
  expect(Math.abs(moment(0) - 1)).toBeLessThan(1e-3);
  expect(Math.abs(n * moment(1) - trace)).toBeLessThan(2.5 * Math.sqrt(variance));
  expect(2.5 * Math.sqrt(variance)).toBeLessThan(trace);
});

it('ranks fit a curve to the points of all of them', { timeout: 120_000 }, () => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [SCRIPT, 'distributed', '--steps', '15'], {
    encoding: 'utf8',
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  const [, first, last, ...eigenvalues] =
    /^2 ranks\nloss: (\S+) → (\S+)\neigenvalues: (\S+), (\S+), (\S+)\n$/.exec(stdout) ?? [];
  expect(Number(last)).toBeLessThan(0.05 * Number(first));
  expect(eigenvalues.map(Number)).toEqual(eigenvalues.map(Number).sort((a, b) => a - b));
});

/** The example's Hessian where its training ended. */
async function denseHessian({ params, x, labels }: { params: number[]; x: number[]; labels: number[] }) {
  const layers = [nn.linear(2, 32), nn.tanh(), nn.linear(32, 32), nn.tanh(), nn.linear(32, 3)];
  const problem: LossProblem = {
    model: Model.sequential(layers),
    params: Float64Array.from(params),
    x: { data: Float64Array.from(x), shape: [labels.length, 2] },
    target: { data: Int32Array.from(labels), shape: [labels.length] },
    loss: 'cross_entropy',
  };
  using operator = await hessian(problem, { threads: 1, engine: 'autograd' });
  return (await operator.toDense({ threads: 1 })) as Tensor<Float64Array>;
}

/**
 * How many eigenvalues of a symmetric matrix are below a threshold: Householder's reduction to a tridiagonal matrix, and
 * the signs of its Sturm sequence (Golub & Van Loan, Matrix Computations, sections 8.3.1 and 8.4.1).
 */
function eigenvaluesBelow({ data, shape }: Tensor<Float64Array>): (threshold: number) => number {
  const n = shape[0]!;
  const a = Array.from({ length: n }, (_, i) => data.slice(i * n, (i + 1) * n));
  const beside = new Float64Array(n);
  for (let k = 0; k < n - 1; k++) {
    const v = Float64Array.from(a[k]!, (each, i) => (i > k ? each : 0));
    const norm = Math.hypot(...v);
    beside[k + 1] = norm;
    if (norm === 0) continue;
    v[k + 1]! += v[k + 1]! < 0 ? -norm : norm;
    const beta = 2 / v.reduce((sum, each) => sum + each * each, 0);
    const p = Float64Array.from(a, (row, i) => (i > k ? beta * dot(row, v, k + 1) : 0));
    const shift = (beta / 2) * dot(p, v, k + 1);
    const w = p.map((each, i) => each - shift * v[i]!);
    for (let i = k + 1; i < n; i++) {
      const [row, vi, wi] = [a[i]!, v[i]!, w[i]!];
      for (let j = k + 1; j < n; j++) row[j]! -= vi * w[j]! + wi * v[j]!;
    }
  }
  return (threshold) => {
    let count = 0;
    let pivot = 1;
    for (let i = 0; i < n; i++) {
      pivot = a[i]![i]! - threshold - beside[i]! ** 2 / (pivot === 0 ? Number.MIN_VALUE : pivot);
      if (pivot < 0) count += 1;
    }
    return count;
  };
}

function dot(a: Float64Array, b: Float64Array, from: number): number {
  let sum = 0;
  for (let i = from; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

const WRONG: [string, string[], RegExp][] = [
  [
    'nope',
    [],
    /^the examples are natural-gradient, hessian-spectrum, open-telemetry, distributed, server, got nope\n$/,
  ],
  ['natural-gradient', ['--step', '3'], /^Unknown option '--step'/],
  ['hessian-spectrum', ['--steps', 'many'], /^--steps should be a whole number of at least 1, got many\n$/],
];
it.each(someOf(WRONG))('tells what is wrong: %s %s', (name, args, message) => {
  const { status, stderr } = spawnSync(process.execPath, [SCRIPT, name, ...args], { encoding: 'utf8' });
  expect(stderr).toMatch(message);
  expect(status).toBe(2);
});

it('counts the eigenvalues of a matrix that has known ones', () => {
  // The second difference matrix: 2 − 2 cos(jπ/(n + 1)), seen through a reflection that fills it.
  const n = 12;
  const v = Float64Array.from({ length: n }, (_, i) => Math.sin(i + 1));
  const reflection = (i: number, j: number) => Number(i === j) - (2 * v[i]! * v[j]!) / dot(v, v, 0);
  const band = (i: number, j: number) => (i === j ? 2 : Math.abs(i - j) === 1 ? -1 : 0);
  const indices = Array.from({ length: n }, (_, i) => i);
  const at = (i: number, j: number) =>
    indices.reduce(
      (sum, k) => sum + indices.reduce((s, l) => s + reflection(i, k) * band(k, l) * reflection(l, j), 0),
      0,
    );
  const data = Float64Array.from({ length: n * n }, (_, index) => at(Math.floor(index / n), index % n));
  const count = eigenvaluesBelow({ data, shape: [n, n] });
  for (const j of indices) {
    const eigenvalue = 2 - 2 * Math.cos(((j + 1) * Math.PI) / (n + 1));
    expect([count(eigenvalue - 1e-9), count(eigenvalue + 1e-9)]).toEqual([j, j + 1]);
  }
});

/** Each plot of the page is drawn, offline and without complaints. */
async function opens(html: string, executablePath: string): Promise<void> {
  await openPage(html, { executablePath }, async (page) => {
    const headings = await page.locator('h2').count();
    expect(headings).toBeGreaterThan(0);
    expect(await page.locator('canvas').count()).toBe(headings);
    await page
      .locator('.u-over')
      .first()
      .hover({ position: { x: 200, y: 100 } });
    await expect.poll(() => page.locator('.u-legend').first().textContent()).toMatch(/\d/);
  });
}
