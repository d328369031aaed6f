/** Whatever stops the download, the set-up says how to go on, and the next run succeeds. */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { byCounts, counts } from '../support/counts.ts';
import { atEveryStep } from './every-step.ts';
import { type Outcome, Sandbox } from './sandbox.ts';

const NAME = 'libtorch-2.13.0-cpu';
/** Someone who owns nothing: to root nothing is forbidden. */
const NOBODY = process.getuid?.() === 0 ? 65534 : undefined;

/** A machine that is offered a libtorch of few files, from one source. */
function machine(): Sandbox {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  return sandbox;
}

/** The next run finds nothing in its way. */
async function succeeds(sandbox: Sandbox, env: NodeJS.ProcessEnv = {}): Promise<void> {
  const { code, said, libtorch } = await sandbox.resolve(env);
  expect(said).toMatch(/\((cpu), (cache|downloaded)\)/);
  expect(code).toBe(0);
  expect(existsSync(join(libtorch!.path, 'lib/libtorch_cpu.so'))).toBe(true);
}

/** A failure that tells how to mend it. */
function expectAdvice({ code, said }: Outcome, advice: RegExp): void {
  expect(said).toMatch(advice);
  expect(said).toMatch(/^torch-curvature: /m);
  expect(said).not.toMatch(/^ {4}at /m); // no stack
  expect(code).toBe(1);
}

describe('at every change that it makes to the file system', { timeout: 120_000 }, () => {
  test('a run that is killed leaves nothing in the way', async () => {
    const steps = await atEveryStep('SIGKILL', async ({ node, env }) => {
      const sandbox = machine();
      const { signal, said } = await sandbox.start('resolve', env, { node }).outcome;
      if (said.includes('interrupted')) expect(signal).toBe('SIGKILL');
      await succeeds(sandbox);
      // All that may stay is a lock that does not lock and a folder without anything big.
      for (const name of sandbox.cached().filter((name) => name !== NAME && name !== 'lock')) {
        const left = readdirSync(join(sandbox.cache, name));
        expect(left.filter((name) => !['temporary', 'requirements.txt'].includes(name))).toEqual([]);
      }
      return said;
    });
    expect(steps.length).toBeGreaterThan(byCounts(3, 20));
    if (counts !== 'usual') expect(steps).toContainEqual(expect.stringMatching(/^rename .*kept$/));
  });

  test('a full disk is explained and leaves nothing in the way', async () => {
    await atEveryStep('ENOSPC', async ({ node, env }) => {
      const sandbox = machine();
      const outcome = await sandbox.start('resolve', env, { node }).outcome;
      // That a folder of the run's own could not be removed is no failure: the next one tries again.
      if (/interrupted at (?!rm .*partial)/.test(outcome.said)) {
        expectAdvice(outcome, /the disk is full/);
        expect(outcome.said).toMatch(/The cache .*set TORCH_CURVATURE_CACHE to another folder/s);
      }
      await succeeds(sandbox);
      return outcome.said;
    });
  });
});

describe('a cache that is odd', () => {
  test.each<[string, (sandbox: Sandbox) => string, RegExp]>([
    ['a file', (s) => put(s, 'plain'), /something that is not a folder is in the way/],
    ['inside a file', (s) => join(put(s, 'plain'), 'cache'), /a file is where a folder is needed/],
    ['a link to nothing', (s) => link(s, 'nowhere'), /link to nothing|is in the way/],
    ['a link to itself', (s) => link(s, 'link'), /links lead in a circle|is in the way/],
    ['/proc', () => '/proc', /cannot be made|may not do that/],
    ['of a name that is too long', (s) => join(s.folder, 'x'.repeat(300)), /the path is too long/],
  ])('%s is refused with the reason, and another one works', async (_, make, reason) => {
    const sandbox = machine();
    const cache = make(sandbox);
    const outcome = await sandbox.resolve({ TORCH_CURVATURE_CACHE: cache });
    expectAdvice(outcome, reason);
    expect(outcome.said).toContain(`The cache ${cache}`);
    expect(outcome.said).toContain('set TORCH_CURVATURE_CACHE to another folder');
    await succeeds(sandbox);
  });

  test('a path with spaces, quotes and letters of any alphabet works', async () => {
    const sandbox = machine();
    const cache = join(sandbox.folder, `ein Ordner 'für' "グラフ" $HOME`);
    await succeeds(sandbox, { TORCH_CURVATURE_CACHE: cache });
    expect(readdirSync(cache)).toEqual([NAME]);
  });

  test('a relative path counts from where npm was called', async () => {
    const sandbox = machine();
    await succeeds(sandbox, { TORCH_CURVATURE_CACHE: 'own', INIT_CWD: sandbox.folder });
    expect(readdirSync(join(sandbox.folder, 'own'))).toEqual([NAME]);
  });

  test('files where folders should be inside it are replaced', async () => {
    const sandbox = machine();
    mkdirSync(sandbox.cache);
    for (const name of [NAME, '.partial-abc']) writeFileSync(join(sandbox.cache, name), '');
    await succeeds(sandbox);
    expect(sandbox.cached()).toEqual([NAME]);
  });
});

describe('without permission', () => {
  test('a cache that may not be written is not called missing', async () => {
    const sandbox = machine();
    open(sandbox);
    mkdirSync(sandbox.cache, { mode: 0o555 });
    const outcome = await sandbox.start('resolve', {}, { uid: NOBODY }).outcome;
    expectAdvice(outcome, /this user may not do that/);
    expect(outcome.said).not.toMatch(/missing|not found|does not exist/);
    chmodSync(sandbox.cache, 0o777);
    expect(await sandbox.start('resolve', {}, { uid: NOBODY }).outcome).toMatchObject({ code: 0 });
  });

  test('a complete cache serves those who may only read it', async () => {
    const sandbox = machine();
    await sandbox.resolve();
    open(sandbox);
    chmodSync(sandbox.cache, 0o555);
    expect(await sandbox.start('resolve', {}, { uid: NOBODY }).outcome).toMatchObject({ code: 0 });
  });

  test.each(['complete.json', 'torch/lib/libc10.so'])(
    '%s in the cache that may not be read is not fetched again',
    async (file) => {
      const sandbox = machine();
      await sandbox.resolve();
      open(sandbox);
      const path = join(sandbox.cache, NAME, file);
      if (NOBODY !== undefined) chownSync(sandbox.cache, NOBODY, NOBODY);
      chmodSync(path, 0);
      const outcome = await sandbox.start('resolve', {}, { uid: NOBODY }).outcome;
      expectAdvice(outcome, /this user may not do that.*permission denied/);
      expect(outcome.said).toContain(path);
      chmodSync(path, 0o444);
      expect(await sandbox.start('resolve', {}, { uid: NOBODY }).outcome).toMatchObject({ code: 0 });
    },
  );

  test('a libtorch that may not be looked at is not called missing', async () => {
    const sandbox = machine();
    const own = sandbox.makeLibtorch('own');
    open(sandbox);
    chmodSync(own, 0);
    const outcome = await sandbox.start('resolve', { LIBTORCH: own }, { uid: NOBODY }).outcome;
    expectAdvice(outcome, /LIBTORCH: .*own cannot be used: this user may not do that/);
    expect(outcome.said).not.toMatch(/does not exist|has no/);
    chmodSync(own, 0o755);
    expect(await sandbox.start('resolve', { LIBTORCH: own }, { uid: NOBODY }).outcome).toMatchObject({
      code: 0,
    });
  });

  test('a Python and a CMake that may not be run are not called missing', async () => {
    const sandbox = machine();
    const bin = join(sandbox.folder, 'bin');
    chmodSync(join(bin, 'python3'), 0o444);
    expectAdvice(await sandbox.resolve(), /python3 may not be run .*EACCES/);
    writeFileSync(join(bin, 'cmake'), '', { mode: 0o444 });
    expectAdvice(await sandbox.start('toolchain').outcome, /CMake could not be run .*EACCES/);
    chmodSync(join(bin, 'python3'), 0o755);
    await succeeds(sandbox);
  });

  test.runIf(NOBODY !== undefined)('a user without a home folder is asked for a cache', async () => {
    const sandbox = machine();
    open(sandbox);
    const env = { TORCH_CURVATURE_CACHE: '' };
    const outcome = await sandbox.start('resolve', env, { uid: 54_321 }).outcome;
    expectAdvice(outcome, /no home folder.*TORCH_CURVATURE_CACHE/);
  });
});

function put(sandbox: Sandbox, name: string): string {
  writeFileSync(join(sandbox.folder, name), '');
  return join(sandbox.folder, name);
}

function link(sandbox: Sandbox, target: string): string {
  symlinkSync(join(sandbox.folder, target), join(sandbox.folder, 'link'));
  return join(sandbox.folder, 'link');
}

/** Lets everyone into the machine's folder and its log. */
function open(sandbox: Sandbox): void {
  chmodSync(sandbox.folder, 0o777);
  const log = join(sandbox.folder, 'calls.log');
  writeFileSync(log, '', { flag: 'a' });
  chmodSync(log, 0o666);
}
