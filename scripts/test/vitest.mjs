/** Runs vitest, and counts what came of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const REPORTER = fileURLToPath(new URL('tally.mjs', import.meta.url));

/**
 * @typedef {object} Tally
 * @property {number} passed
 * @property {number} failed
 * @property {number} skipped
 * @property {Record<string, number>} skips by file and reason
 */

/**
 * @param {string} root of the package
 * @param {readonly string[]} args vitest's
 * @param {readonly string[]} [without] files that are left out: its own `--exclude` is none of a project that has an `exclude`
 * @returns {Promise<Tally>}
 */
export async function runVitest(root, args, without = []) {
  const tally = join(root, 'build', 'tally.json');
  mkdirSync(dirname(tally), { recursive: true });
  rmSync(tally, { force: true });
  const script = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const vitest = spawn(
    process.execPath,
    [script, 'run', '--reporter=default', `--reporter=${REPORTER}`, ...args],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...process.env,
        TORCH_CURVATURE_TALLY: tally,
        TORCH_CURVATURE_TESTS_WITHOUT: without.join(','),
      },
    },
  );
  const [status] = await once(vitest, 'exit');
  return count(tally, status ?? 1);
}

/**
 * A vitest that did not get to its end, or fails without saying why, counts as one failed test.
 * @param {string} file
 * @param {number} code vitest's exit status
 * @returns {Tally}
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
 * What was skipped and why, a line for each reason.
 * @param {Tally} tally
 */
export function describeSkips({ skips }) {
  return Object.entries(skips).map(
    ([which, count]) => `skipped: ${count} test${count === 1 ? '' : 's'} of ${which}`,
  );
}
