/**
 * Stands for `cmake` in the tests of the set-up: it "compiles" each source in `native/` that has no object yet, and
 * links the addon, which is FAKE_ADDON where every object is whole. With FAKE_HANG it stops half-way through an object, and
 * like Ninja has a compiler in a process group of its own, which it ends when it is asked to end.
 */
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const args = process.argv.slice(2);
const after = (option) => args[args.indexOf(option) + 1];
const out = args.includes('-B') ? after('-B') : after('--build');
const cache = join(out ?? '', 'CMakeCache.txt');

if (args[0] === '--version') {
  console.log('cmake version 3.25.1');
} else if (args.includes('-B')) {
  for (const folder of ['objects', 'Release']) mkdirSync(join(out, folder), { recursive: true });
  writeFileSync(cache, after('-S'));
} else {
  const sources = readdirSync(join(readFileSync(cache, 'utf8'), 'native'));
  for (const source of sources) await compile(source);
  const addon = join(out, 'Release', 'torch_curvature.node');
  if (sources.every((source) => object(source).includes('end'))) copyFileSync(process.env.FAKE_ADDON, addon);
  else writeFileSync(addon, 'linked from half an object');
}

async function compile(source) {
  if (existsSync(pathOf(source))) return;
  writeFileSync(pathOf(source), 'object ');
  if (process.env.FAKE_HANG) {
    const compiler = spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60_000)'], { detached: true });
    process.on('SIGTERM', () => {
      compiler.kill('SIGKILL');
      process.exit(1);
    });
    writeFileSync(join(out, 'compiler.pid'), String(compiler.pid));
    await new Promise((resolve) => compiler.on('exit', resolve));
  }
  writeFileSync(pathOf(source), 'object end');
}

function object(source) {
  return readFileSync(pathOf(source), 'utf8');
}

function pathOf(source) {
  return join(out, 'objects', `${source}.o`);
}
