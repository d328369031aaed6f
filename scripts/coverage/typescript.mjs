/** Coverage of the TypeScript sources by vitest. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';

/** @typedef {import('./table.mjs').Shares} Shares */

/**
 * @param {string} root
 * @param {string} out gets `typescript/index.html`
 * @param {readonly string[]} args of vitest
 * @returns {Map<string, Shares>} by path in root
 */
export function coverTypeScript(root, out, args) {
  const folder = join(out, 'typescript');
  const options = {
    enabled: true,
    provider: 'v8',
    include: 'lib/**/*.ts',
    reporter: ['json-summary', 'html'],
    reportsDirectory: folder,
    reportOnFailure: true,
  };
  const flags = Object.entries(options).flatMap(([name, values]) =>
    [values].flat().map((value) => `--coverage.${name}=${value}`),
  );
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const { status } = spawnSync(process.execPath, [vitest, 'run', ...flags, ...args], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TORCH_CURVATURE_TEST_SOURCES: '1' },
  });
  if (status !== 0) throw new Error(`vitest ended with ${status}`);
  const summary = JSON.parse(readFileSync(join(folder, 'coverage-summary.json'), 'utf8'));
  delete summary.total;
  return new Map(
    Object.entries(summary).map(([file, { lines, branches }]) => [
      relative(root, file),
      { lines: share(lines), branches: share(branches) },
    ]),
  );
}

/** @param {{ covered: number, total: number }} counts */
function share({ covered, total }) {
  return { ran: covered, all: total };
}
