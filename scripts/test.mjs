/**
 * The set-up, then vitest with the arguments given, and the linters beside it. At the end what was skipped, with the
 * reason, and on the last line the count of all of it: `N passed, N failed, N skipped`; a linter that fails counts as one
 * failed test.
 * `--package` adds the tests of packages: one compiles the addon, the other makes a release and installs it.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';
import { run } from './setup/process.mjs';
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
  [
    'tsc',
    [
      bin('typescript', 'tsc'),
      '--noEmit',
      '--incremental',
      '--tsBuildInfoFile',
      join(root, 'build', 'tsc.json'),
    ],
  ],
  ['clang-format', [join(root, 'scripts', 'clang-format.mjs')]],
];

const linters = LINTERS.map(([name, command]) => ({
  name,
  ended: run(process.execPath, command, { cwd: root }),
}));
const left = withPackage ? [] : PACKAGE_TESTS.flatMap((file) => ['--exclude', file]);
const tests = await runVitest(root, [...left, ...vitestArguments]);
let failed = tests.failed;
for (const { name, ended } of linters) {
  const { code, output } = await ended;
  if (code === 0) continue;
  console.log(`${output}FAILED lint: ${name}`);
  failed++;
}
for (const line of describeSkips(tests)) console.log(line);
if (!withPackage) console.log(`not run here: ${PACKAGE_TESTS.join(', ')} (npm run test:package)`);
console.log(`${tests.passed} passed, ${failed} failed, ${tests.skipped} skipped`);
process.exitCode = failed === 0 ? 0 : 1;

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
