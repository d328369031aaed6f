/** The parts of the set-up of a clone around libtorch and the addon: npm packages and dist/. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test, vi } from 'vitest';
import { byCounts } from '../support/counts.ts';
import { atEveryStep } from './every-step.ts';
import { ended } from './installation.ts';

const CALL = fileURLToPath(new URL('call.mjs', import.meta.url));
const LOCK = JSON.stringify({ packages: { '': {}, 'node_modules/a': { version: '1.0.0' } } });

/** Stands for npm: as `npm ci` it writes its record last. */
const NPM = `
const fs = require('node:fs');
fs.writeFileSync('npm.pid', String(process.pid));
fs.rmSync('node_modules', { recursive: true, force: true });
fs.mkdirSync('node_modules/a', { recursive: true });
if (process.env.FAKE_HANG) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60_000);
if (process.env.FAKE_FULL) { console.error('npm error code ENOSPC'); process.exit(1); }
fs.copyFileSync('package-lock.json', 'node_modules/.package-lock.json');`;

/** Stands for tsdown: one file after the other. */
const TSDOWN = `
import { mkdirSync, writeFileSync } from 'node:fs';
mkdirSync('dist', { recursive: true });
for (const name of ['index.mjs', 'index.cjs', 'index.d.mts', 'index.d.cts', 'cli.mjs']) writeFileSync('dist/' + name, 'new');`;

class Clone {
  readonly folder = mkdtempSync(join(tmpdir(), 'torch-curvature-clone-'));

  constructor() {
    onTestFinished(() => rmSync(this.folder, { recursive: true, force: true }));
    this.put('package-lock.json', LOCK);
    this.put('npm.js', NPM);
    this.put('node_modules/tsdown/dist/run.mjs', TSDOWN);
    this.put('lib/index.ts', 'old');
  }

  put(name: string, text: string): void {
    const file = join(this.folder, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }

  read(name: string): string {
    return readFileSync(join(this.folder, name), 'utf8');
  }

  start(part: 'packages' | 'typescript', env: NodeJS.ProcessEnv = {}, node: readonly string[] = []) {
    return spawn(process.execPath, [...node, CALL, part], {
      cwd: this.folder,
      env: { PATH: process.env.PATH, npm_execpath: join(this.folder, 'npm.js'), ...env },
    });
  }
}

test('an installation of npm packages that is killed ends with its npm and is begun again', async () => {
  const clone = new Clone();
  const child = clone.start('packages', { FAKE_HANG: '1' });
  await vi.waitFor(() => expect(existsSync(join(clone.folder, 'node_modules/a'))).toBe(true), 10_000);
  child.kill('SIGKILL');
  await ended(child);
  const npm = Number(clone.read('npm.pid'));
  await vi.waitFor(() => expect(() => process.kill(npm, 0)).toThrow('ESRCH'), 5_000);

  const again = await ended(clone.start('packages'));
  expect(again).toMatchObject({ code: 0, stderr: expect.stringContaining('Installing npm packages') });
  expect((await ended(clone.start('packages'))).stderr).toBe('');
});

test('what npm says when it fails is shown, and the next run begins again', async () => {
  const clone = new Clone();
  const { code, stderr } = await ended(clone.start('packages', { FAKE_FULL: '1' }));
  expect(code).toBe(1);
  expect(stderr).toMatch(/torch-curvature: npm ci failed:\nnpm error code ENOSPC/);
  expect(await ended(clone.start('packages'))).toMatchObject({ code: 0 });
});

test.each(['SIGKILL', 'ENOSPC'])(
  'a compilation to dist/ that meets %s at any change is begun again',
  async (fault) => {
    const steps = await atEveryStep(fault, async ({ node, env }) => {
      const clone = new Clone();
      await ended(clone.start('typescript'));
      clone.put('lib/index.ts', 'new');
      clone.put('dist/index.mjs', 'old');
      const { stderr } = await ended(clone.start('typescript', env, node));
      expect(stderr).not.toMatch(/^ {4}at /m); // no stack
      expect(await ended(clone.start('typescript'))).toMatchObject({ code: 0 });
      expect(clone.read('dist/index.mjs')).toBe('new');
      return stderr;
    });
    expect(steps.length).toBeGreaterThanOrEqual(byCounts(1, 3));
  },
);
