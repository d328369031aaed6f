/**
 * This package beside PyTorch's own ways, in one run: two long-lived workers take turns, so that what else the machine
 * does meets both. A time counts only after the product was found to agree.
 *
 *     node scripts/peers/compare.mjs [--hidden 64 …] [--threads N] [--rounds 5] [--json FILE]
 */
import { execFile, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import Table from 'cli-table3';
import { pythonWithTorch } from './python.mjs';

/** Runs of each way in a round: dense takes long, the others do not. */
const WAYS = [
  { side: 'ours', run: 'dense', title: 'dense', times: 1 },
  { side: 'torch', run: 'dense', title: 'PyTorch: vmap(jacrev), JᵀJ, product', times: 1 },
  { side: 'ours', run: 'onTheFly', title: 'on-the-fly, one shot', times: 20 },
  { side: 'torch', run: 'composition', title: 'PyTorch: jvp, then vjp', times: 20 },
  { side: 'torch', run: 'linearize', title: 'PyTorch: linearize, then vjp', times: 3 },
];
const TOLERANCES = { float32: 1e-4, float64: 1e-10 };

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '4' },
    hidden: { type: 'string', default: '64' },
    layers: { type: 'string', default: '2' },
    outputs: { type: 'string', default: '1' },
    batch: { type: 'string', default: '4096' },
    seed: { type: 'string', default: '0' },
    dtype: { type: 'string', default: 'float32' },
    threads: { type: 'string', default: String(availableParallelism()) },
    rounds: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});
const { rounds, json, ...experiment } = values;
const sizes = Object.entries(experiment).flatMap(([name, value]) => [`--${name}`, value]);

const python = await pythonWithTorch();
if (python === undefined) {
  console.log('Comparison with PyTorch skipped.');
  process.exit(0);
}

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const commands = {
  ours: [process.execPath, [here('ours.mjs'), ...sizes]],
  torch: [python, ['-W', 'ignore', here('seed_script.py'), ...sizes]],
};
const workers = {
  ours: startWorker(commands.ours[0], commands.ours[1]),
  torch: startWorker(commands.torch[0], [...commands.torch[1], '--serve']),
};

try {
  const versions = { ...(await workers.ours.next()), ...(await workers.torch.next()) };
  const results = await compare();
  report(versions, results);
  if (json !== undefined) {
    const { threads, libtorch, torch } = versions;
    const document = { ...experiment, threads, libtorch, torch, ways: results, ratios: ratios(results) };
    await writeFile(json, `${JSON.stringify(document, null, 2)}\n`);
  }
} finally {
  for (const worker of Object.values(workers)) worker.end();
}

async function compare() {
  const results = WAYS.map((way) => ({ ...way, samples: [] }));
  const reference = await workers.torch.ask({ run: 'dense', times: 1, result: true });
  for (const way of results) {
    const first = await workers[way.side].ask({ run: way.run, times: 1, result: true });
    way.difference = relativeDifference(first.result, reference.result);
    if (!(way.difference <= TOLERANCES[values.dtype])) {
      throw new Error(`${way.title} (${way.side}) differs from PyTorch's dense product by ${way.difference}`);
    }
    way.peakBytes = await memoryInFreshProcess(way);
  }
  for (let round = 0; round < Number(rounds); round++) {
    for (const way of results) {
      const { ms } = await workers[way.side].ask({ run: way.run, times: way.times });
      way.samples.push(...ms);
    }
  }
  return results.map(({ side, run, title, samples, difference, peakBytes }) => {
    const sorted = samples.sort((a, b) => a - b);
    return {
      side,
      run,
      title,
      minMs: sorted[0],
      medianMs: sorted[sorted.length >> 1],
      peakBytes,
      difference,
    };
  });
}

function report(versions, results) {
  console.log(
    `${experiment.inputs}-${Array(Number(experiment.layers)).fill(experiment.hidden).join('-')}-${experiment.outputs} ` +
      `tanh, batch ${experiment.batch}, ${experiment.dtype}, ${versions.threads} threads; ` +
      `libtorch ${versions.libtorch}, PyTorch ${versions.torch}`,
  );
  const table = new Table({
    head: ['', 'min ms', 'median ms', 'peak memory, MB', "difference from PyTorch's dense"],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right'],
  });
  for (const { title, minMs, medianMs, peakBytes, difference } of results) {
    table.push([
      title,
      minMs.toFixed(2),
      medianMs.toFixed(2),
      (peakBytes / 1e6).toFixed(0),
      difference.toExponential(1),
    ]);
  }
  console.log(table.toString());
  for (const [name, ratio] of Object.entries(ratios(results))) console.log(`${name}: ${ratio.toFixed(3)}`);
}

/** Our minimum over PyTorch's: below 1 is faster. */
function ratios(results) {
  const time = (side, run) => results.find((way) => way.side === side && way.run === run).minMs;
  return {
    'dense / PyTorch dense': time('ours', 'dense') / time('torch', 'dense'),
    'on-the-fly / PyTorch jvp+vjp': time('ours', 'onTheFly') / time('torch', 'composition'),
    'on-the-fly / PyTorch linearize+vjp': time('ours', 'onTheFly') / time('torch', 'linearize'),
    'dense / on-the-fly': time('ours', 'dense') / time('ours', 'onTheFly'),
  };
}

async function memoryInFreshProcess({ side, run }) {
  const [command, args] = commands[side];
  const { stdout } = await promisify(execFile)(command, [...args, '--memory-of', run]);
  return Number(stdout);
}

function startWorker(command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`${command} ended early`);
    return JSON.parse(value);
  };
  return {
    next,
    ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return next();
    },
    end: () => child.stdin.end(),
  };
}

/** `max|a − b| / max|b|` */
function relativeDifference(a, b) {
  const largest = (values) => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return largest(b.map((value, i) => value - a[i])) / largest(b);
}
