import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeSkips, runVitest } from '../test/vitest.mjs';

/**
 * @typedef {object} Context
 * @property {string} root of the package
 * @property {string} python that has PyTorch
 * @property {readonly string[]} files of tests, where not all are wanted
 *
 * @typedef {object} Outcome
 * @property {boolean} ok
 * @property {string[]} lines for the report
 * @property {unknown} [figures]
 */

/** What needs neither a network, nor a second compilation, nor the compiler of TypeScript. */
export const TESTS = [
  ...['test/model', 'test/operators', 'test/products', 'test/profiler', 'test/solvers', 'test/addon'],
  ...['test/bad-input.test.ts', 'test/foreign.test.ts', 'test/inspect.test.ts'],
];
/** What has cases for a GPU alone. */
export const CUDA_TESTS = [
  'test/products/cuda.test.ts',
  'test/operators/devices.test.ts',
  'test/addon/exit.test.ts',
];

/** The comparisons that fit into a few minutes: each takes about one, most of it to import and compile. */
const CUDA_CASES = ['seed', '784-2048²-10', 'cnn', 'transformer'];

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function testJob({ root, files }) {
  return tested(await runVitest(root, files.length > 0 ? files : TESTS));
}

/**
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export function benchJob({ root }) {
  return measured(root, ['dist/cli.mjs', 'bench']);
}

/**
 * Tests, then the bench, then the products of PyTorch and ours in turns. Without a GPU nothing of it can be run, and that
 * is a failure, not a pass.
 * @param {Context} context
 * @returns {Promise<Outcome>}
 */
export async function cudaJob({ root, python }) {
  const { info } = await import('torch-curvature');
  const { cudaCompiled, cudaDevices } = info();
  if (cudaDevices.length === 0) {
    const why = cudaCompiled
      ? 'no CUDA device is there'
      : 'this PyTorch is a CPU build; name the Python of a CUDA build in PYTHON';
    return { ok: false, lines: said([`Nothing was run: ${why}.`]) };
  }
  const tests = tested(await runVitest(root, CUDA_TESTS));
  const bench = await measured(root, ['dist/cli.mjs', 'bench', '--device', 'cuda']);
  const how = ['--device', 'cuda', '--threads', '1', '--dtype', 'float32', '--rounds', '3'];
  const cases = CUDA_CASES.flatMap((name) => ['--case', name]);
  const peers = await measured(root, ['scripts/peers.mjs', ...how, ...cases], { PYTHON: python });
  return {
    ok: tests.ok && bench.ok && peers.ok,
    lines: [...cudaDevices.map(({ name }) => name), ...tests.lines, ...bench.lines, ...peers.lines],
    figures: { devices: cudaDevices, tests: tests.figures, bench: bench.figures, peers: peers.figures },
  };
}

/**
 * @param {import('../test/vitest.mjs').Tally} tally
 * @returns {Outcome}
 */
function tested(tally) {
  const { passed, failed, skipped } = tally;
  return {
    ok: failed === 0 && passed > 0,
    lines: said([...describeSkips(tally), `${passed} passed, ${failed} failed, ${skipped} skipped`]),
    figures: tally,
  };
}

/**
 * Prints the lines, too.
 * @param {string[]} lines
 */
function said(lines) {
  console.log(lines.join('\n'));
  return lines;
}

/**
 * A program that prints tables and writes its figures with `--json`.
 * @param {string} root
 * @param {string[]} args
 * @param {Record<string, string>} [env] besides ours
 * @returns {Promise<Outcome>}
 */
async function measured(root, args, env = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  try {
    const json = join(folder, 'figures.json');
    const child = spawn(process.execPath, [...args, '--json', json], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    });
    const ended = once(child, 'close');
    let stdout = '';
    for await (const text of child.stdout.setEncoding('utf8')) {
      process.stdout.write(text);
      stdout += text;
    }
    const [status] = await ended;
    const figures = await readFile(json, 'utf8').then(JSON.parse, () => undefined);
    return { ok: status === 0 && figures !== undefined, lines: stdout.trimEnd().split('\n'), figures };
  } finally {
    await rm(folder, { recursive: true });
  }
}
