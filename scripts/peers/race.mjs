/** One case: every way of every peer, in turns, so that what else the machine does meets them all. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Generator, Model, nn } from 'torch-curvature';
import { WAYS } from './cases.mjs';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
/** Largest `max|a − b| / max|b|` between a peer's product and ours. */
const TOLERANCES = { float32: 1e-4, float64: 1e-10 };
/** How long a way may run in one round, in milliseconds. */
const TURN_MS = 60;

/**
 * @typedef {object} Result
 * @property {string} peer
 * @property {string} way
 * @property {string} title
 * @property {number} minMs
 * @property {number} medianMs
 * @property {number} [peakBytes] how much one product raised the peak resident memory of a fresh process; on the CPU
 * @property {number} difference from our one-shot product (or gradient), relative to its largest element
 */

/** Of two peers about a product: nothing is measured then. */
export class Disagreement extends Error {}

/**
 * @param {import('./cases.mjs').Case} each
 * @param {object} how
 * @param {'float32' | 'float64'} how.dtype
 * @param {number} how.threads
 * @param {number} how.rounds
 * @param {string} how.python
 * @param {string} how.device
 * @param {boolean} how.jax whether it takes part
 * @param {ReturnType<import('./worker.mjs').startPeers>} how.peers
 */
export async function race(each, { dtype, threads, rounds, python, device, jax, peers }) {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-peers-'));
  const workers = {};
  try {
    const setup = await prepare(each, dtype, folder, python);
    const request = { case: setup, folder, dtype, threads, device };
    const ways = WAYS.filter((way) => takesPart(way, each, jax));
    const versions = {};
    const peakOf = async ({ peer, way }) => {
      const fresh = peers.fresh(peer);
      try {
        await fresh.ask(request);
        return (await fresh.ask({ memoryOf: way })).bytes;
      } finally {
        await fresh.end();
      }
    };
    for (const { peer } of ways) {
      if (workers[peer] !== undefined) continue;
      workers[peer] = peers.worker(peer);
      Object.assign(versions, (await workers[peer].ask(request)).versions);
    }

    const results = [];
    const references = {
      product: await product(workers.ours, 'oneShot', folder),
      gradient: await product(workers.ours, 'gradient', folder),
    };
    for (const way of ways) {
      const result = await product(workers[way.peer], way.way, folder);
      const difference = relativeDifference(result, references[way.way] ?? references.product);
      if (!(difference <= TOLERANCES[dtype])) {
        throw new Disagreement(`${each.name}, ${dtype}: ${way.title} differs from ours by ${difference}`);
      }
      const bytes = device === 'cpu' ? await peakOf(way) : undefined;
      // The second run, so that what a first one sets up does not decide how often the way has its turn.
      const { ms } = await workers[way.peer].ask({ run: way.way, times: 1 });
      const times = Math.max(1, Math.min(50, Math.floor(TURN_MS / ms[0])));
      results.push({ ...way, difference, peakBytes: bytes, times, samples: [] });
    }
    for (let round = 0; round < rounds; round++) {
      for (const result of results) {
        const { ms } = await workers[result.peer].ask({ run: result.way, times: result.times });
        result.samples.push(...ms);
      }
    }
    const { flops } = await workers.ours.ask({ flopsOf: 'linearized' });
    return { ...setup, dtype, threads, device, versions, flops, results: results.map(summarize) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function takesPart({ peer, way, dense }, each, jax) {
  if (dense) return each.dense === true;
  if (peer === 'jax' && !jax) return false;
  // The thread's way is what the seed's case is about.
  return way !== 'seed' || each.dense === true;
}

/** Writes the parameters, the batch and the vector that all peers read. */
async function prepare(each, dtype, folder, python) {
  const generator = new Generator(0);
  const write = (name, { data }) =>
    writeFile(join(folder, `${name}.bin`), new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  let setup;
  if (each.file === undefined) {
    const { widths, batch } = each;
    const layers = widths.slice(1).flatMap((width, index) => [nn.linear(widths[index], width), nn.tanh()]);
    const model = Model.sequential(layers.slice(0, -1));
    setup = { ...each, xShape: [batch, widths[0]], parameters: model.parameterCount };
    await write('params', { data: model.init({ generator, dtype }) });
  } else {
    const args = [here('exported.py'), each.file, join(folder, 'model.pt2'), String(each.batch)];
    const { stdout } = await promisify(execFile)(python, ['-W', 'ignore', ...args]);
    setup = { ...each, ...JSON.parse(stdout.trim().split('\n').at(-1)) };
    const model = await Model.load(join(folder, 'model.pt2'));
    await write('params', { data: model.init({ dtype }) });
  }
  await write('x', inputs(setup, generator, dtype));
  await write('v', generator.randn([setup.parameters], { dtype }));
  return setup;
}

/** Vectors, or tokens where the model has a vocabulary. */
function inputs({ xShape, vocabulary }, generator, dtype) {
  if (vocabulary == null) return generator.randn(xShape, { dtype });
  const { data } = generator.randn(xShape, { dtype: 'float64' });
  return { data: BigInt64Array.from(data, (each) => BigInt(Math.floor(Math.abs(each) * 1e6) % vocabulary)) };
}

async function product(worker, way, folder) {
  const file = join(folder, 'result.bin');
  await worker.ask({ run: way, times: 1, result: file });
  const bytes = await readFile(file);
  return new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}

/** `max|a − b| / max|b|` */
function relativeDifference(a, b) {
  if (a.length !== b.length) return Number.NaN;
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < b.length; i++) {
    difference = Math.max(difference, Math.abs(a[i] - b[i]));
    scale = Math.max(scale, Math.abs(b[i]));
  }
  return difference / scale;
}

function summarize({ peer, way, title, against, samples, peakBytes, difference }) {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    peer,
    way,
    title,
    against,
    minMs: sorted[0],
    medianMs: sorted[sorted.length >> 1],
    peakBytes,
    difference,
  };
}

/** Our minimum over the peer's, for each way of a peer: below 1 is faster. */
export function ratios(results) {
  const ours = (way) => results.find((result) => result.peer === 'ours' && result.way === way);
  return results
    .filter(({ against }) => against !== undefined)
    .map(({ title, against, minMs }) => ({ title, ratio: ours(against).minMs / minMs }));
}

/** Cost of a product that was linearized, in gradients, of us and of PyTorch. */
export function costs(results) {
  const time = (peer, way) => results.find((result) => result.peer === peer && result.way === way).minMs;
  return Object.fromEntries(
    ['ours', 'torch'].map((peer) => [peer, time(peer, 'linearized') / time(peer, 'gradient')]),
  );
}
