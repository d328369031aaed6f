/**
 * Fuzzes the readers of files, each in a process of its own: `npm run fuzz:files -- [--minutes N | --seconds N] [--seed N]
 * [reader …]`. Inputs that a reader fails on are left in build/fuzz/findings/READER; put into test/fuzz/files/inputs/READER
 * they are run first from then on.
 */
import { spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { bundle, root } from './build.mjs';
import { watch } from './watch.mjs';

/** An input that takes longer, in milliseconds of the processor's, hangs. */
const HANG = 5_000;

const READERS = ['zip', 'pt2', 'pickle', 'graph', 'nesting', 'safetensors', 'npy'];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: 'string', default: '60' },
    seconds: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
});
const unknown = positionals.find((name) => !READERS.includes(name));
if (unknown !== undefined) throw new Error(`unknown reader '${unknown}'; known are ${READERS.join(', ')}`);
const chosen = positionals.length > 0 ? positionals : READERS;
const total = values.seconds === undefined ? 60 * Number(values.minutes) : Number(values.seconds);

const folder = join(root, 'build', 'fuzz');
/** Where the readers run, and nothing should be left. */
const empty = join(folder, 'empty');
mkdirSync(empty, { recursive: true });
const readers = (await bundle({ 'fuzz-readers': 'files/index.ts' }))['fuzz-readers'];
const main = (await bundle({ 'fuzz-files': 'files/main.ts' }))['fuzz-files'];
for (const reader of chosen) {
  const { code, signal, output, hangs } = await fuzz(reader, total / chosen.length);
  const left = readdirSync(empty);
  if (code === 0 && left.length === 0) {
    const { inputs, kept, functions } = JSON.parse(output);
    console.log(`ok ${reader}: ${inputs} inputs, ${kept} kept, ${functions} functions seen`);
    continue;
  }
  const why = hangs ? `took more than ${HANG / 1000} s` : `${signal ?? ''} ${left.join(', ')}\n${output}`;
  console.log(`FAILED ${reader}, seed ${values.seed}, input ${saved(reader)}: ${why}`);
  process.exitCode = 1;
}

/**
 * @param {string} reader
 * @param {number} seconds
 * @returns {Promise<{ code: number | null, signal: string | null, output: string, hangs: boolean }>}
 */
function fuzz(reader, seconds) {
  const inputs = join(root, 'test', 'fuzz', 'files', 'inputs');
  const args = [main, readers, reader, String(seconds), values.seed, folder, inputs];
  rmSync(current(reader), { force: true });
  const child = spawn(process.execPath, args, { cwd: empty, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const unwatch = watch(child, current(reader), HANG);
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, output: output.trim(), hangs: unwatch() });
    });
  });
}

/** @param {string} reader */
function current(reader) {
  return join(folder, `${reader}.input`);
}

/**
 * Keeps the input that ran last.
 * @param {string} reader
 * @returns {string} its path
 */
function saved(reader) {
  const findings = join(folder, 'findings', reader);
  mkdirSync(findings, { recursive: true });
  const path = join(findings, `${basename(reader)}-${Date.now()}`);
  copyFileSync(current(reader), path);
  return path;
}
