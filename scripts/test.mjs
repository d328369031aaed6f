/**
 * The set-up, the linters, then vitest with the arguments given. At the end what was skipped, with the reason, and on the
 * last line the count of all of it: `N passed, N failed, N skipped`; a linter that fails counts as one failed test.
 * `--package` adds the tests of packages: one compiles the addon, the other makes a release and installs it.
 */
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';
import { describeSkips, runVitest } from './test/vitest.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/** They compile the addon as on a user's machine, or make and install a release. */
const PACKAGE_TESTS = [
  'test/package/package.test.ts',
  'test/package/offline.test.ts',
  'test/release/release.test.ts',
];
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
const left = withPackage ? [] : PACKAGE_TESTS.flatMap((file) => ['--exclude', file]);
const tests = runVitest(root, [...left, ...vitestArguments]);
for (const [name] of failedLinters) console.log(`FAILED lint: ${name}`);
for (const line of describeSkips(tests)) console.log(line);
if (!withPackage) console.log(`not run here: ${PACKAGE_TESTS.join(', ')} (npm run test:package)`);
const failed = tests.failed + failedLinters.length;
console.log(`${tests.passed} passed, ${failed} failed, ${tests.skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;

/**
 * @param {string[]} args
 * @returns {number} exit status
 */
function node(args) {
  return spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status ?? 1;
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
