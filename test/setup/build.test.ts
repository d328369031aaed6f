/** The build of the addon: killed and interrupted runs, altered results, and what loading says before it is mended. */
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { byCounts, counts, someOf } from '../support/counts.ts';
import { atEveryStep } from './every-step.ts';
import { ended, Installation, ROOT } from './installation.ts';
import { libtorchFiles } from './sandbox.ts';

/** Someone who owns nothing: to root nothing is forbidden. */
const NOBODY = process.getuid?.() === 0 ? 65534 : undefined;
const PERMISSION_MODEL = process.allowedNodeEnvironmentFlags.has('--permission')
  ? '--permission'
  : '--experimental-permission';

/** With a made-up libtorch and addon, which are quick to record. */
function made(): Installation {
  const installation = new Installation();
  const { project } = installation;
  for (const [name, text] of Object.entries(libtorchFiles('torch/'))) {
    mkdirSync(join(project, name, '..'), { recursive: true });
    writeFileSync(join(project, name), text);
  }
  writeFileSync(join(project, 'made.node'), 'machine code '.repeat(100));
  installation.env = {
    ...installation.env,
    LIBTORCH: join(project, 'torch'),
    FAKE_ADDON: join(project, 'made.node'),
  };
  return installation;
}

/** The next run leaves a whole addon with its record. */
async function succeeds(installation: Installation): Promise<void> {
  const { code, stderr } = await installation.build();
  expect(stderr).toContain('libtorch 2.13.0 (cpu, LIBTORCH)');
  expect(code).toBe(0);
  expect(readFileSync(installation.addon)).toEqual(readFileSync(installation.env.FAKE_ADDON!));
  const record = JSON.parse(readFileSync(join(installation.release, 'libtorch.json'), 'utf8'));
  expect(Object.keys(record.libraries).sort()).toEqual(['lib/libc10.so', 'lib/libtorch_cpu.so']);
  expect((await installation.build()).stderr).not.toContain('Compiling');
}

describe('at every change that it makes to the file system', { timeout: 120_000 }, () => {
  test('a build that is killed leaves nothing in the way', async () => {
    const steps = await atEveryStep('SIGKILL', async ({ node, env }) => {
      const installation = made();
      const { signal, stderr } = await installation.build(env, node);
      if (stderr.includes('interrupted')) expect(signal).toBe('SIGKILL');
      await succeeds(installation);
      return stderr;
    });
    expect(steps.length).toBeGreaterThan(byCounts(1, 10));
    if (counts !== 'usual') expect(steps).toContainEqual(expect.stringMatching(/^copyFile /));
  });

  test('a full disk is explained and leaves nothing in the way', async () => {
    await atEveryStep('ENOSPC', async ({ node, env }) => {
      const installation = made();
      const { code, stderr } = await installation.build(env, node);
      if (stderr.includes('interrupted')) {
        expect(stderr).toMatch(/ cannot be used: the disk is full.*run the same command again/s);
        expect(stderr).not.toMatch(/^ {4}at /m); // no stack
        expect(code).toBe(1);
      }
      await succeeds(installation);
      return stderr;
    });
  });
});

test('the compiler of a killed build ends with it, and its last object is made anew', async () => {
  const installation = made();
  mkdirSync(join(installation.package, '.git')); // a clone keeps its objects
  const child = installation.startBuild({ FAKE_HANG: '1', CI: '1' });
  const ending = ended(child);
  const object = join(installation.package, 'build/cmake/objects/a.cc.o');
  const pid = join(installation.package, 'build/cmake/compiler.pid');
  await vi.waitFor(() => expect(readFileSync(pid, 'utf8')).toMatch(/^\d+$/), 20_000);
  const compiler = Number(readFileSync(pid, 'utf8'));
  process.kill(compiler, 0);
  child.kill('SIGKILL');
  await ending;
  await vi.waitFor(() => expect(() => process.kill(compiler, 0)).toThrow('ESRCH'), 5_000);
  expect(readFileSync(object, 'utf8')).toBe('object ');
  await succeeds(installation);
  expect(readFileSync(object, 'utf8')).toBe('object end');
});

const BUILT: [string, (installation: Installation) => string][] = [
  ['an addon', ({ addon }) => addon],
  ['a library of libtorch', ({ env }) => join(env.LIBTORCH!, 'lib/libc10.so')],
];
test.each(someOf(BUILT))(
  '%s that was altered without changing its size is noticed by the build',
  async (_, file) => {
    const installation = made();
    await succeeds(installation);
    writeFileSync(file(installation), readFileSync(file(installation), 'utf8').toUpperCase());
    utimesSync(file(installation), 0, 0);
    expect((await installation.build()).stderr).toContain('Compiling');
    expect((await installation.build()).stderr).not.toContain('Compiling');
  },
);

test('an installed package keeps the addon, and nothing of what it was made from', async () => {
  const installation = made();
  await succeeds(installation);
  expect(readdirSync(join(installation.package, 'build'))).toEqual(['Release']);
});

test('a build folder that is a file is refused with the reason', async () => {
  const installation = made();
  const build = join(installation.package, 'build');
  writeFileSync(build, '');
  const { code, stderr } = await installation.build();
  expect(code).toBe(1);
  expect(stderr).toMatch(/build.* cannot be used: .*(in the way|folder is needed)/);
  expect(stderr).not.toMatch(/^ {4}at /m);
});

describe('loading', { timeout: 60_000 }, () => {
  /** Runs the line that a message shows, and loads again. */
  async function mended(installation: Installation, message: string): Promise<string> {
    const line = /run `([^`]+)`/.exec(message)?.[1];
    expect(line).toBeDefined();
    const { code, stderr } = await installation.shell(line!);
    expect(stderr).toContain('Built the addon');
    expect(code).toBe(0);
    return (await installation.load()).stdout;
  }

  test('after an installation without scripts shows the line to run, which mends it', async () => {
    const installation = new Installation();
    const { code, stdout } = await installation.load();
    expect(stdout).toMatch(/^ERR_ADDON_MISSING the native addon was not built/);
    expect(code).toBe(1);
    expect(await mended(installation, stdout)).toMatch(/^\d+\.\d+\.\d+/);
  });

  const spoils: [string, (file: string) => void][] = [
    ['altered', (file) => alter(file)],
    ['truncated', (file) => truncateSync(file, 100_000)],
  ];
  test.each(someOf(spoils))(
    'of an addon that was %s says so instead of crashing, and shows what mends it',
    async (fault, spoil) => {
      const installation = new Installation();
      await installation.build();
      spoil(installation.addon);
      const { code, signal, stdout } = await installation.load();
      expect({ code, signal }).toEqual({ code: 1, signal: null });
      expect(stdout).toMatch(new RegExp(`^ERR_ADDON_MISSING .*torch_curvature\\.node (is|was) ${fault}`));
      expect(await mended(installation, stdout)).toMatch(/^\d+\.\d+\.\d+/);
    },
  );

  test('of what may not be read does not call it missing', async () => {
    const installation = new Installation();
    await installation.build();
    chmodSync(installation.project, 0o755);
    chmodSync(installation.addon, 0);
    const { code, stdout } = await installation.load([], NOBODY);
    expect(stdout).toMatch(/^ERR_ACCESS_DENIED .*may not read .*torch_curvature\.node \(EACCES\)/);
    expect(stdout).not.toMatch(/missing|not found|not built/);
    expect(code).toBe(1);
  });

  test("under Node's permission model names the flag that is missing", async () => {
    const installation = new Installation();
    await installation.build();
    const all = [PERMISSION_MODEL, '--allow-fs-read=*'];
    const refused = await installation.load(all);
    expect(refused.stdout).toMatch(/^ERR_ACCESS_DENIED .*--allow-addons/);
    expect(refused.stdout).not.toContain('--allow-fs-read');
    const packages = [installation.project, join(ROOT, 'node_modules')];
    const blind = [...packages.map((folder) => `--allow-fs-read=${folder}/*`), '--allow-addons'];
    expect((await installation.load([PERMISSION_MODEL, ...blind])).stdout).toMatch(
      /^ERR_ACCESS_DENIED .*does not let this process read \/.*--allow-fs-read/,
    );
    const { stdout } = await installation.load([...all, '--allow-addons']);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+/);
  });

  test('where addons are switched off says so', async () => {
    const installation = new Installation();
    await installation.build();
    const { stdout } = await installation.load(['--no-addons']);
    expect(stdout).toMatch(/^ERR_ACCESS_DENIED Node\.js was started .*remove --no-addons/);
    expect((await installation.load()).stdout).toMatch(/^\d+\.\d+\.\d+/);
  });
});

/** Puts zeros where code is, and keeps the size; a file system may count in seconds, so the time is another one. */
function alter(file: string): void {
  const bytes = readFileSync(file);
  bytes.fill(0, bytes.length >> 2, bytes.length >> 1);
  writeFileSync(file, bytes);
  utimesSync(file, 0, 0);
}
