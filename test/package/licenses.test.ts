/** The licenses of what is installed, and of what lies in the bundle of the command line. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

function check(...args: string[]) {
  return spawnSync(process.execPath, [join(ROOT, 'scripts/licenses.mjs'), ...args], { encoding: 'utf8' });
}

/** Checks a lock file of one package. */
function checkLock(entry: { license?: string; dev?: boolean }) {
  const folder = mkdtempSync(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const packages = { '': { license: 'nobody looks' }, 'node_modules/@a/b': { version: '1.2.3', ...entry } };
  writeFileSync(join(folder, 'lock.json'), JSON.stringify({ packages }));
  return check(join(folder, 'lock.json'));
}

it('are all known and accepted', () => {
  const { status, stdout, stderr } = check();
  expect(stderr).toBe('');
  expect(stdout).toMatch(/^installed with the package: \d+ packages$/m);
  expect(status).toBe(0);
});

it.each([
  [{}, '@a/b 1.2.3: its license is unknown\n'],
  [{ license: 'GPL-3.0-only' }, '@a/b 1.2.3: GPL-3.0-only is not accepted\n'],
  [{ license: 'MIT AND GPL-3.0-only' }, '@a/b 1.2.3: MIT AND GPL-3.0-only is not accepted\n'],
  [{ license: 'MPL-2.0' }, '@a/b 1.2.3: MPL-2.0 is not accepted\n'],
])('%j fails', (entry, complaint) => {
  expect(checkLock(entry)).toMatchObject({ status: 1, stderr: complaint });
});

it.each([{ license: '(GPL-3.0-only OR MIT)' }, { license: 'MPL-2.0', dev: true }])('%j passes', (entry) => {
  expect(checkLock(entry)).toMatchObject({ status: 0, stderr: '' });
});

it('of bundled packages lie beside the command line with their texts', () => {
  const text = readFileSync(join(ROOT, 'dist/cli.licenses.txt'), 'utf8');
  for (const name of ['cli-table3', 'commander', 'uplot', 'string-width']) {
    expect(text).toMatch(new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\([\\w.-]+\\)$`, 'm'));
  }
  expect(text).toMatch(/Permission is hereby granted/);
  // Nothing else is loaded from node_modules but what is installed with the package.
  const imports = readFileSync(join(ROOT, 'dist/cli.mjs'), 'utf8').matchAll(
    /^import .* from "(?!node:)(.*)";$/gm,
  );
  expect([...imports].map(([, name]) => name)).toEqual(['yauzl']);
});
