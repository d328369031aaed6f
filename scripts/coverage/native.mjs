/** Coverage of the native core by its own tests. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { forgetRuns, readCounts } from './gcov.mjs';

/** @typedef {import('./table.mjs').Shares} Shares */

/**
 * @param {string} root
 * @param {string} out gets `native.info`, which genhtml and editors read
 * @param {readonly string[]} args of `core_tests`
 * @returns {Map<string, Shares>} by path in root
 */
export function coverNative(root, out, args) {
  const folder = join(root, 'build', 'presets', 'coverage');
  const jobs = String(availableParallelism());
  mustRun(root, 'cmake', ['--preset', 'coverage', '--log-level=WARNING']);
  mustRun(root, 'cmake', ['--build', '--preset', 'coverage', '--target', 'core_tests', '--parallel', jobs]);
  forgetRuns(folder);
  mustRun(root, join(folder, 'core_tests'), args);
  const sources = new Map([...readCounts(root, folder)].filter(([file]) => file.startsWith('native/core/')));
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'native.info'), lcov(root, sources));
  return new Map(
    [...sources].map(([file, { lines, branches }]) => [
      file,
      { lines: share([...lines.values()]), branches: share([...branches.values()]) },
    ]),
  );
}

/** @param {number[]} counts */
function share(counts) {
  return { ran: counts.filter((count) => count > 0).length, all: counts.length };
}

/**
 * @param {string} root
 * @param {Map<string, import('./gcov.mjs').Counts>} sources
 * @returns {string} in the format of lcov
 */
function lcov(root, sources) {
  return [...sources]
    .flatMap(([file, { lines }]) => [
      `SF:${join(root, file)}`,
      ...[...lines].sort(([a], [b]) => a - b).map(([line, count]) => `DA:${line},${count}`),
      'end_of_record\n',
    ])
    .join('\n');
}

/**
 * @param {string} cwd
 * @param {string} program
 * @param {readonly string[]} args
 */
function mustRun(cwd, program, args) {
  const { status, error } = spawnSync(program, args, { cwd, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}`);
}
