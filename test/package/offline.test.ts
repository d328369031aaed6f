/** The archive for machines without a network: unpacked where nothing of this clone is seen, it builds and computes. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
// @ts-expect-error a script of the repository, without types
import { CUDA_TESTS, TESTS } from '../../scripts/offline/jobs.mjs';
import { compilerCache } from '../support/compiler-cache.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LONG = 40 * 60_000;
const execute = promisify(execFile);

/** A namespace whose one network is a loopback that is down. */
const CUT_OFF = ['unshare', '--user', '--map-root-user', '--net'];
const canCutOff = spawnSync(CUT_OFF[0]!, [...CUT_OFF.slice(1), 'true']).status === 0;

let home: string;
let folder: string;
let libtorch: string;

beforeAll(async () => {
  await execute(process.execPath, [join(ROOT, 'scripts/offline.mjs')], { cwd: ROOT });
  home = await mkdtemp(join(tmpdir(), 'torch-curvature-offline-'));
  const built = join(ROOT, 'build/offline');
  const [archive] = await readdir(built);
  expect((await stat(join(built, archive!))).size).toBeLessThan(60e6);
  await execute('tar', ['-xf', join(built, archive!), '-C', home]);
  folder = join(home, archive!.replace('.tar.xz', ''));
  ({ path: libtorch } = JSON.parse(await readFile(join(ROOT, 'build/Release/libtorch.json'), 'utf8')));
}, LONG);

afterAll(() => rm(home, { recursive: true, force: true }));

async function sourcesIn(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const names = await readdir(path, { recursive: true });
  return names.filter((name) => /\.(ts|mjs)$/.test(name)).map((name) => join(path, name));
}

/** Without a Node or anything else of this process. */
async function runIt(...args: string[]): Promise<{ code: number; output: string }> {
  const [program, ...rest] = [...(canCutOff ? CUT_OFF : []), join(folder, 'run.sh'), ...args];
  const env = {
    ...compilerCache(join(folder, 'package')),
    ...{ PATH: '/usr/local/bin:/usr/bin:/bin', HOME: home, LIBTORCH: libtorch },
  };
  const { status, stdout, stderr } = await new Promise<{ status: number; stdout: string; stderr: string }>(
    (resolve) => {
      const child = execFile(program!, rest, { env, maxBuffer: 2 ** 26 }, (_, stdout, stderr) =>
        resolve({ status: child.exitCode ?? 1, stdout, stderr }),
      );
    },
  );
  return { code: status, output: stdout + stderr };
}

it('has every file and package that its tests and scripts name', async () => {
  const root = join(folder, 'package');
  const entries = await Promise.all([...TESTS, ...CUDA_TESTS].map((path) => sourcesIn(join(root, path))));
  const seen = new Set([
    join(root, 'scripts/offline/run.mjs'),
    join(root, 'scripts/peers.mjs'),
    ...entries.flat(),
  ]);
  const missing: string[] = [];
  const isThere = (path: string) =>
    stat(path).then(
      () => true,
      () => false,
    );
  for (const file of seen) {
    const text = await readFile(file, 'utf8');
    for (const [, name] of text.matchAll(/(?:\bfrom|\bimport\(?) ?'((?:@[\w-]+\/)?[\w-]+)(?:\/[^']*)?'/g)) {
      const known = name === 'torch-curvature' || (await isThere(join(root, 'node_modules', name!)));
      if (!known) missing.push(`${relative(root, file)}: ${name}`);
    }
    for (const [, path] of text.matchAll(/(?:from|import\(?|new URL\() ?'(\.[^']*)'/g)) {
      const named = join(file, '..', path!);
      if (named.startsWith(join(root, 'build', 'Release'))) continue; // made there
      if (!(await isThere(named))) missing.push(`${relative(root, file)}: ${path}`);
      else if (/\.(ts|mjs)$/.test(named) && !named.startsWith(join(root, 'dist'))) seen.add(named);
    }
  }
  expect(seen.size).toBeGreaterThan(200);
  expect(missing).toEqual([]);
});

it('builds against the PyTorch that is there, and measures', { timeout: LONG }, async () => {
  const { code, output } = await runIt('bench');
  expect(code, output).toBe(0);
  const { machine, jobs } = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'));
  expect(machine.libtorch.path).toBe(libtorch);
  expect(jobs.bench).toMatchObject({ ok: true });
  expect(jobs.bench.figures.maxRelativeDifference).toBeLessThan(1e-4);
  expect(await readFile(join(folder, 'report.txt'), 'utf8')).toMatch(
    /=== bench: passed, \d+ s ===.*On-The-Fly/s,
  );
});

it('runs its tests', { timeout: LONG }, async () => {
  const { code, output } = await runIt('test', 'test/products/products.test.ts');
  expect(code, output).toBe(0);
  expect(output).toMatch(/\d{2,} passed, 0 failed/);
});

it('says what it can do', async () => {
  expect(await runIt('tset')).toMatchObject({ code: 1, output: expect.stringContaining('./run.sh test') });
});

it('does not call a job passed of which nothing ran', { timeout: LONG }, async () => {
  const { code, output } = await runIt('cuda');
  const { jobs } = JSON.parse(await readFile(join(folder, 'report.json'), 'utf8'));
  expect(jobs.bench.ok).toBe(true);
  if (jobs.cuda.ok) return;
  expect(code).toBe(1);
  expect(output).toMatch(/Nothing was run: (no CUDA device|this PyTorch is a CPU build)/);
});
