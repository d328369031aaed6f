/** The fuzzer of the API: calls are made in batches, each in a process of its own, so that a crash ends only that. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { watch } from './watch.mjs';

/**
 * @typedef {object} Way how the processes run
 * @property {string} program the bundle of `test/fuzz/api/main.ts`
 * @property {string} [only] only calls whose description has this text in it
 * @property {number} hang milliseconds of the processor's: a call that takes longer hangs, or its promise never settles
 * @property {number} [addressSpace] bytes that a process may have: what is larger fails to be allocated
 * @property {Record<string, string>} [env] of the processes alone, besides ours
 *
 * @typedef {{ seed: number, calls: number }} Batch repeats itself where both are the same
 */

/**
 * Prints each finding once, whichever batch found it, and at the end how many calls were made and accepted.
 *
 * @param {Way} way
 * @param {Batch & { size: number }} amount `size`: the most calls of a batch
 * @returns {Promise<number>} how many findings there were
 */
export async function fuzzApi(way, { calls, size, seed }) {
  const folder = mkdtempSync(join(tmpdir(), 'torch-curvature-fuzz-'));
  const batches = Array.from({ length: Math.ceil(calls / size) }, (_, i) => ({
    seed: seed + 1000 * i,
    calls: Math.min(size, calls - i * size),
  }));
  const told = new Set();
  let [made, accepted] = [0, 0];
  const worker = async () => {
    for (let batch = batches.shift(); batch !== undefined; batch = batches.shift()) {
      const { findings, counts } = await run(way, batch, folder);
      made += counts[0];
      accepted += counts[1];
      for (const { call, wrong } of findings) {
        const signature = `${call.split(' [')[0]} ${wrong.split('\n')[0].replace(/\d+/g, '')}`;
        if (told.has(signature)) continue;
        told.add(signature);
        console.log(`FAILED ${call}, batch --seed ${batch.seed} --calls ${batch.calls}: ${wrong}\n`);
      }
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  rmSync(folder, { recursive: true, force: true });
  console.log(`${made} calls, ${accepted} accepted, seed ${seed}, ${told.size} findings`);
  return told.size;
}

/**
 * @param {Way} way
 * @param {Batch} batch
 * @param {string} folder
 * @returns {Promise<{ findings: { call: string, wrong: string }[], counts: number[] }>} how many calls were made and accepted
 */
async function run({ program, only = '', hang, addressSpace, env }, batch, folder) {
  const cwd = join(folder, String(batch.seed));
  mkdirSync(cwd);
  const file = join(folder, `${batch.seed}.call`);
  const variables = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`);
  const command = [process.execPath, program, String(batch.calls), String(batch.seed), file, only];
  const limit = addressSpace === undefined ? 'unlimited' : addressSpace / 1024;
  const limited = `ulimit -c 0; ulimit -v ${limit}; exec env "$@"`;
  const child = spawn('sh', ['-c', limited, 'sh', ...variables, ...command], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  child.stdout.on('data', (text) => (output += text));
  child.stderr.on('data', (text) => (errors += text));
  const unwatch = watch(child, file, hang);
  const [code, signal] = await new Promise((resolve) => {
    child.on('close', (code, signal) => resolve([code, signal]));
  });
  const hangs = unwatch();
  const findings = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  if (code !== 0) {
    const [call, plan] = callUnderWay(file);
    const wrong = hangs
      ? `took more than ${hang / 1000} s`
      : `ended the process: ${signal ?? code} ${said(errors)}`;
    findings.push({ call, wrong: `${wrong} ${plan}` });
  }
  return { findings, counts: (/^\d+ \d+$/m.exec(output)?.[0] ?? '0 0').split(' ').map(Number) };
}

/** @param {string} file does not exist where the process did not get to its first call */
function callUnderWay(file) {
  try {
    return readFileSync(file, 'utf8').split('\n');
  } catch {
    return ['the start', ''];
  }
}

/**
 * The report of a sanitizer from its beginning, of what else is printed the end.
 * @param {string} errors
 */
function said(errors) {
  const report = /^.*(?:==ERROR: |: runtime error: )/m.exec(errors);
  return report ? errors.slice(report.index, report.index + 4000) : errors.slice(-2000);
}
