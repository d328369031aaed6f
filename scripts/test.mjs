/**
 * The set-up, the linters, then vitest with the arguments given. The last line printed is the count of all of it:
 * `N passed, N failed, N skipped`; a linter that fails counts as one failed test.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

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
const failed = tests.failed + failedLinters.length;
console.log(`${tests.passed} passed, ${failed} failed, ${tests.skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;

function vitest() {
  const report = join(root, 'build', 'vitest.json');
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const code = node([
    ...[bin('vitest'), 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    ...process.argv.slice(2),
  ]);
  return count(report, code);
}

/**
 * A file that cannot be collected, an error outside tests, or a vitest that did not get to its report has no failed test
 * to show; each counts as one.
 * @param {string} report
 * @param {number} code vitest's exit status
 */
function count(report, code) {
  let results;
  try {
    results = JSON.parse(readFileSync(report, 'utf8'));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
  const broken = results.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((t) => t.status === 'failed'),
  );
  const failed = results.numFailedTests + broken.length;
  return {
    passed: results.numPassedTests,
    failed: failed === 0 && code !== 0 ? 1 : failed,
    skipped: results.numPendingTests + results.numTodoTests,
  };
}

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
