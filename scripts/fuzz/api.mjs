/**
 * Calls everything that the package exports as nobody should: `npm run fuzz:api -- [--calls N] [--seed N] [--only TEXT]`.
 * Calls are made in batches, each in a process of its own, so that a crash is seen and the next batch goes on. A batch has
 * its own seed: `--calls` of a batch and its seed repeat it.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle } from './build.mjs';
import { watch } from './watch.mjs';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    batch: { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
  },
});

/** A call that takes longer, in milliseconds of the processor's, hangs; or its promise never settles. */
const HANG = 5_000;
/** Bytes of address space that a process may have: what is larger fails to be allocated, as on a smaller machine. */
const ADDRESS_SPACE = 6 * 2 ** 30;

const program = (await bundle({ 'fuzz-api': 'api/main.ts' }, ['torch-curvature', 'fast-check']))['fuzz-api'];
const folder = mkdtempSync(join(tmpdir(), 'torch-curvature-fuzz-'));
const [calls, size, seed] = [values.calls, values.batch, values.seed].map(Number);
const batches = Array.from({ length: Math.ceil(calls / size) }, (_, i) => ({
  seed: seed + 1000 * i,
  calls: Math.min(size, calls - i * size),
}));
/** Told once each, whichever batch found it. */
const told = new Set();
let [made, accepted] = [0, 0];

await Promise.all(Array.from({ length: availableParallelism() }, worker));
rmSync(folder, { recursive: true, force: true });
console.log(`${made} calls, ${accepted} accepted, seed ${seed}, ${told.size} findings`);
process.exitCode = told.size === 0 ? 0 : 1;

async function worker() {
  for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
    const { findings, counts } = await run(batch);
    made += counts[0];
    accepted += counts[1];
    for (const { call, wrong } of findings) {
      const signature = `${call.split(' [')[0]} ${wrong.split('\n')[0].replace(/\d+/g, '')}`;
      if (told.has(signature)) continue;
      told.add(signature);
      console.log(`FAILED ${call}, batch --seed ${batch.seed} --calls ${batch.calls}: ${wrong}\n`);
    }
  }
}

/**
 * @param {{ seed: number, calls: number }} batch
 * @returns {Promise<{ findings: { call: string, wrong: string }[], counts: number[] }>} how many calls were made and accepted
 */
async function run(batch) {
  const cwd = join(folder, String(batch.seed));
  mkdirSync(cwd);
  const file = join(folder, `${batch.seed}.call`);
  const args = [program, String(batch.calls), String(batch.seed), file, values.only];
  const limited = `ulimit -c 0; ulimit -v ${ADDRESS_SPACE / 1024}; exec "$@"`;
  const child = spawn('sh', ['-c', limited, 'sh', process.execPath, ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (errors += text));
  const unwatch = watch(child, file, HANG);
  const [code, signal] = await new Promise((resolve) => {
    child.on('close', (code, signal) => resolve([code, signal]));
  });
  const hangs = unwatch();
  const findings = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  if (code !== 0) {
    const [call, plan] = readFileSync(file, 'utf8').split('\n');
    const wrong = hangs
      ? `took more than ${HANG / 1000} s`
      : `ended the process: ${signal ?? code} ${errors.slice(-2000)}`;
    findings.push({ call, wrong: `${wrong} ${plan}` });
  }
  return { findings, counts: (/^\d+ \d+$/m.exec(output)?.[0] ?? '0 0').split(' ').map(Number) };
}
