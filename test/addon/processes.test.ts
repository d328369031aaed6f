/** Processes, workers and copies of the package that end, or begin, in the middle of products. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { byCounts } from '../support/counts.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** To tell a hang from a busy machine. */
const HANG = { timeout: byCounts(240_000, 240_000, 1_800_000) };

async function run(script: string, ...args: string[]) {
  const path = join(ROOT, 'test/fixtures/processes', script);
  const child = spawn(process.execPath, [path, ...args], { timeout: HANG.timeout - 10_000 });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  return { stdout, stderr, code, signal };
}

describe('a process that ends in the middle of products', HANG, () => {
  it('by process.exit', async () => {
    const ended = await run('exit.mjs', 'exit');
    expect(ended).toEqual({ stdout: 'began\n', stderr: '', code: 7, signal: null });
  });

  it('by a signal', async () => {
    const ended = await run('exit.mjs', 'signal');
    expect(ended).toEqual({ stdout: 'began\n', stderr: '', code: null, signal: 'SIGTERM' });
  });

  it('by an error that nobody caught', async () => {
    const { stdout, stderr, code, signal } = await run('exit.mjs', 'throw');
    expect({ stdout, code, signal }).toEqual({ stdout: 'began\n', code: 1, signal: null });
    expect(stderr).toContain('Error: on purpose');
  });
});

// RssAnon is a line of Linux's /proc.
it.runIf(process.platform === 'linux')('workers that are ended in the middle of products', HANG, async () => {
  const { stdout, stderr, code } = await run('workers.mjs', String(byCounts(6, 12, 200)));
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  const { same, growth } = JSON.parse(stdout);
  expect(same).toBe(true);
  // What a worker takes of its own is some 10 MB: none of them is left behind.
  expect(growth).toBeLessThan(32 * 2 ** 20);
});

it('processes that are forked from one in the middle of products', HANG, async () => {
  const { stdout, stderr, code } = await run('fork.mjs');
  expect({ stdout, stderr, code }).toEqual({ stdout: '[true,true,true,true]\n', stderr: '', code: 0 });
});

it('two copies of the package compute side by side', HANG, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const part of ['package.json', 'dist', 'build/Release']) {
    await cp(join(ROOT, part), join(folder, part), { recursive: true, preserveTimestamps: true });
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  const modules = [ROOT, folder].map((root) => pathToFileURL(join(root, 'dist/index.mjs')).href);
  const { stdout, stderr, code } = await run('copies.mjs', ...modules);
  expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  expect(JSON.parse(stdout)).toEqual({ two: true, numbers: 1, running: 0 });
});
