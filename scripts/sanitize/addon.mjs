/** The addon with AddressSanitizer and UndefinedBehaviorSanitizer, called by the fuzzer of the API. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fuzzApi } from '../fuzz/batches.mjs';
import { bundle } from '../fuzz/build.mjs';
import { recordFiles } from '../setup/manifest.mjs';
import { build, root } from './build.mjs';

const ADDON = 'torch_curvature.node';
/** A call hangs that takes longer, in milliseconds of the processor's: instrumented code takes a few times as long. */
const HANG = 30_000;

/**
 * @param {{ calls: number, seed: number }} amount
 * @returns {Promise<string>} what was done; rejects where something was found
 */
export async function fuzzAddon({ calls, seed }) {
  const copy = makePackage(build('sanitize', 'torch_curvature'));
  const outDir = join(copy, 'build');
  const { 'fuzz-api': program } = await bundle(
    { 'fuzz-api': 'api/main.ts' },
    ['torch-curvature', 'fast-check'],
    outDir,
  );
  const findings = await fuzzApi({ program, hang: HANG, env: environment() }, { calls, size: 1000, seed });
  if (findings > 0) throw new Error(`${calls} calls of seed ${seed}; ${findings} findings`);
  return `${calls} calls of seed ${seed}; 0 findings`;
}

/**
 * The package with another addon: what is built is found beside `dist`.
 * @param {string} folder CMake's
 * @returns {string} the package's folder
 */
function makePackage(folder) {
  const copy = join(folder, 'package');
  const release = join(copy, 'build', 'Release');
  rmSync(copy, { recursive: true, force: true });
  mkdirSync(release, { recursive: true });
  for (const part of ['package.json', 'dist'])
    cpSync(join(root, part), join(copy, part), { recursive: true });
  cpSync(join(folder, 'Release', ADDON), join(release, ADDON));
  const record = JSON.parse(readFileSync(join(root, 'build', 'Release', 'libtorch.json'), 'utf8'));
  writeFileSync(
    join(release, 'libtorch.json'),
    JSON.stringify({ ...record, addon: recordFiles(release, [ADDON]) }),
  );
  return copy;
}

function environment() {
  const cxx = process.env.CXX ?? 'c++';
  /** @param {string} name of a library of the compiler's */
  const library = (name) => execFileSync(cxx, [`-print-file-name=${name}`], { encoding: 'utf8' }).trim();
  return {
    // The runtime has to come first, and looks for the functions that throw when it starts: Node.js has its own inside.
    LD_PRELOAD: `${library('libasan.so')} ${library('libstdc++.so.6')}`,
    // Node.js ends without freeing what it has. What does not fit is an error of libtorch's, as without.
    ASAN_OPTIONS: 'detect_leaks=0:allocator_may_return_null=1:max_allocation_size_mb=6144:exitcode=66',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  };
}
