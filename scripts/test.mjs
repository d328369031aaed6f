/**
 * The set-up, the linters, then vitest with the arguments given. At the end what was skipped, with the reason, and on the
 * last line the count of all of it: `N passed, N failed, N skipped`; a linter that fails counts as one failed test.
 * `--package` adds the tests of packages: one compiles the addon, the other makes a release and installs it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** They compile the addon as a user's installation does, or make and install a release. */
const PACKAGE_TESTS = ['test/package/package.test.ts', 'test/release/release.test.ts'];
const vitestArguments = process.argv.slice(2).filter((argument) => argument !== '--package');
const withPackage = vitestArguments.length < process.argv.length - 2;

const LINTERS = [
  ['biome', [bin('@biomejs/biome'), 'ci', '.']],
  ['tsc', [bin('typescript', 'tsc'), '--noEmit']],
  ['clang-format', [join(root, 'scripts', 'clang-format.mjs')]],
];

const failedLinters = LINTERS.map(([name, command]) => [name, node(command)]).filter(
  ([, code]) => code !== 0,
);
const tests = vitest();
for (const [name] of failedLinters) console.log(`FAILED lint: ${name}`);
for (const [which, count] of Object.entries(tests.skips)) {
  console.log(`skipped: ${count} test${count === 1 ? '' : 's'} of ${which}`);
}
if (!withPackage) console.log(`not run here: ${PACKAGE_TESTS.join(', ')} (npm run test:package)`);
const failed = tests.failed + failedLinters.length;
console.log(`${tests.passed} passed, ${failed} failed, ${tests.skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;

function vitest() {
  const tally = join(root, 'build', 'tally.json');
  mkdirSync(dirname(tally), { recursive: true });
  rmSync(tally, { force: true });
  const reporters = ['--reporter=default', `--reporter=${join(root, 'scripts', 'tally.mjs')}`];
  const left = withPackage ? [] : PACKAGE_TESTS.flatMap((file) => ['--exclude', file]);
  const code = node([bin('vitest'), 'run', ...reporters, ...left, ...vitestArguments], {
    TORCH_CURVATURE_TALLY: tally,
  });
  return count(tally, code);
}

/**
 * A vitest that did not get to its end, or fails without saying why, counts as one failed test.
 * @param {string} file
 * @param {number} code vitest's exit status
 * @returns {{ passed: number, failed: number, skipped: number, skips: Record<string, number> }}
 */
function count(file, code) {
  let tally;
  try {
    tally = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0, skips: {} };
  }
  return { ...tally, failed: tally.failed === 0 && code !== 0 ? 1 : tally.failed };
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} [env] besides ours
 * @returns {number} exit status
 */
function node(args, env = {}) {
  const options = { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } };
  return spawnSync(process.execPath, args, options).status ?? 1;
}

/**
 * The script behind a package's command.
 * @param {string} name of the package
 * @param {string} [command]
 */
function bin(name, command) {
  const manifest = join(root, 'node_modules', name, 'package.json');
  const { bin: commands } = require(manifest);
  const file = typeof commands === 'string' ? commands : commands[command ?? name.split('/').at(-1)];
  return join(dirname(manifest), file);
}
