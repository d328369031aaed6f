/**
 * The set-up, then vitest with the arguments given, and the linters beside it. At the end what was skipped, with the
 * reason, and on the last line the count of all of it: `N passed, N failed, N skipped`; a linter that fails counts as one
 * failed test.
 * `--package` adds the tests of packages and of what may befall their set-up, `--only-package` runs them alone; an argument
 * that is a part of their path, those.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';
import { run } from './setup/process.mjs';
import { describeSkips, runVitest } from './test/vitest.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);

/**
 * They compile the addon as on a user's machine, make and install a release, run set-ups that are killed or meet a full
 * disk at each of their steps, or count instructions under valgrind.
 */
const PACKAGE_TESTS = [
  'test/package/package.test.ts',
  'test/package/offline.test.ts',
  'test/release/release.test.ts',
  'test/setup/build.test.ts',
  'test/setup/download.test.ts',
  'test/setup/faults.test.ts',
  'test/setup/moved-libtorch.test.ts',
  'test/setup/pip.test.ts',
  'test/products/instructions.test.ts',
];
const OPTIONS = ['--package', '--only-package'];
const given = process.argv.slice(2);
const vitestArguments = given.filter((argument) => !OPTIONS.includes(argument));
const onlyPackage = given.includes('--only-package');
const withPackage = onlyPackage || given.includes('--package');
const notRun = withPackage
  ? []
  : PACKAGE_TESTS.filter((file) => !vitestArguments.some((argument) => file.includes(argument)));

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
const chosen = onlyPackage ? PACKAGE_TESTS : [];
const tests = await runVitest(root, [...chosen, ...vitestArguments], notRun);
let failed = tests.failed;
for (const { name, ended } of linters) {
  const { code, output } = await ended;
  if (code === 0) continue;
  console.log(`${output}FAILED lint: ${name}`);
  failed++;
}
for (const line of describeSkips(tests)) console.log(line);
if (notRun.length > 0) console.log(`not run here: ${notRun.join(', ')} (npm run test:package)`);
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
