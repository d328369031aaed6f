/** The download with the pip of this machine, from a wheel that is made here. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { byCounts } from '../support/counts.ts';
import { libtorchFiles, Sandbox, type Wheel } from './sandbox.ts';

const NAME = 'libtorch-2.13.0-cpu';
const WHEEL = 'torch-2.13.0-cp311-none-any.whl';
const LIBRARY = 'torch/lib/libtorch_cpu.so';
const hasPip = spawnSync('python3', ['-m', 'pip', '--version']).status === 0;
/** Ends a command line that runs in a shell of its own mounts, which needs no root. */
const OWN_MOUNTS = 'unshare --user --map-root-user --mount';
const canMount = spawnSync('sh', ['-c', `${OWN_MOUNTS} mount -t tmpfs tmpfs /mnt`]).status === 0;

/** Writes a wheel of the files in the JSON on standard input; prints its SHA-256. */
const WRITE_WHEEL = `
import hashlib, json, sys, zipfile
path, info = sys.argv[1:]
files = json.load(sys.stdin)
files[info + "/WHEEL"] = "Wheel-Version: 1.0\\nGenerator: tests\\nRoot-Is-Purelib: false\\nTag: cp311-none-any\\n"
files[info + "/METADATA"] = "Metadata-Version: 2.1\\nName: torch\\nVersion: 2.13.0\\nRequires-Dist: sympy\\n"
files[info + "/RECORD"] = "".join(name + ",,\\n" for name in files) + info + "/RECORD,,\\n"
with zipfile.ZipFile(path, "w") as archive:
    for name, text in files.items():
        archive.writestr(name, text)
print(hashlib.sha256(open(path, "rb").read()).hexdigest())
`;

/** Puts a wheel into the index whose big library has so many bytes. */
function offer(sandbox: Sandbox, bytes: number): Wheel {
  const files = {
    ...libtorchFiles('torch/'),
    [LIBRARY]: 'm'.repeat(bytes),
    'torch/nn/functional.py': 'pass',
    'torch-2.13.0.dist-info/licenses/LICENSE': 'terms',
  };
  const { stdout, stderr } = spawnSync(
    'python3',
    ['-c', WRITE_WHEEL, join(sandbox.index, WHEEL), 'torch-2.13.0.dist-info'],
    { input: JSON.stringify(files), encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  return { name: WHEEL, sha256: stdout.trim() };
}

/** After a fault was explained: what is left of it is not in the way. In `npm test` after one kind of them. */
const succeedsNext = byCounts(async () => {}, succeeds);

/** How pip finds the wheel, and nothing else. */
function environment(sandbox: Sandbox): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: sandbox.folder,
    PIP_CONFIG_FILE: '/dev/null',
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: sandbox.index,
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
  };
}

function machine(bytes = 100): { sandbox: Sandbox; env: NodeJS.ProcessEnv } {
  const sandbox = new Sandbox();
  sandbox.pin([offer(sandbox, bytes)]);
  return { sandbox, env: environment(sandbox) };
}

async function succeeds(sandbox: Sandbox, env: NodeJS.ProcessEnv): Promise<void> {
  const { code, said } = await sandbox.resolve(env);
  expect(said).toContain('downloaded)');
  expect(code).toBe(0);
  expect(sandbox.cached()).toEqual([NAME]);
}

describe.skipIf(!hasPip)('pip', { timeout: 60_000 }, () => {
  test('installs what is pinned, of which the needed is kept', async () => {
    const { sandbox, env } = machine();
    // What people set for their ordinary work.
    await succeeds(sandbox, { ...env, PIP_REQUIRE_VIRTUALENV: '1', PIP_USER: '1' });
    const folder = join(sandbox.cache, NAME);
    expect(readFileSync(join(folder, LIBRARY), 'utf8')).toBe('m'.repeat(100));
    expect(existsSync(join(folder, 'torch-2.13.0.dist-info/licenses/LICENSE'))).toBe(true);
    expect(existsSync(join(folder, 'torch/nn'))).toBe(false);
    // Its own cache would keep the download a second time.
    expect(existsSync(join(sandbox.folder, '.cache'))).toBe(false);
  });

  test('refuses a wheel that was altered, and takes the right one next', async () => {
    const { sandbox, env } = machine();
    const wheel = join(sandbox.index, WHEEL);
    const right = readFileSync(wheel);
    offer(sandbox, 101);
    const { code, said } = await sandbox.resolve(env);
    expect(code).toBe(1);
    expect(said).toMatch(/another build than the pinned one.*altered; try again\..*set LIBTORCH/s);
    expect(sandbox.cached()).toEqual([]);
    writeFileSync(wheel, right);
    await succeeds(sandbox, env);
  });

  test('refuses a wheel that was cut short', async () => {
    const { sandbox, env } = machine();
    const wheel = join(sandbox.index, WHEEL);
    writeFileSync(wheel, readFileSync(wheel).subarray(0, 500));
    const { code, said } = await sandbox.resolve(env);
    expect(code).toBe(1);
    expect(said).toMatch(/pip could not download libtorch/);
    expect(sandbox.cached()).toEqual([]);
  });

  test('without a network says what to look at, and succeeds once there is one', async () => {
    const { sandbox, env } = machine();
    const offline = { ...env, PIP_NO_INDEX: '0', PIP_FIND_LINKS: '', PIP_RETRIES: '0' };
    const { code, said } = await sandbox.resolve({ ...offline, PIP_INDEX_URL: 'http://127.0.0.1:9/simple' });
    expect(code).toBe(1);
    expect(said).toMatch(/No matching distribution found for torch==2\.13\.0/);
    expect(said).toMatch(/Check the network, proxy \(HTTPS_PROXY\).*set LIBTORCH to its folder/s);
    await succeedsNext(sandbox, env);
  });

  test.skipIf(process.platform === 'win32')('names a limit on the size of files', async () => {
    const { sandbox, env } = machine(2_000_000);
    const { code, said } = await sandbox.start('resolve', env, { shell: 'ulimit -f 500' }).outcome;
    expect(code).toBe(1);
    expect(said).toMatch(/File too large/);
    expect(said).toMatch(/disk is full.*make room, or set TORCH_CURVATURE_CACHE/s);
    await succeedsNext(sandbox, env);
  });

  test.skipIf(!canMount)('names a disk that is full', async () => {
    const { sandbox, env } = machine(2_000_000);
    mkdirSync(sandbox.cache);
    const mount = `mount -t tmpfs -o size=1m tmpfs "$TORCH_CURVATURE_CACHE" && exec "$@"`;
    const { code, said } = await sandbox.start('resolve', env, {
      shell: `exec ${OWN_MOUNTS} sh -c '${mount}' sh "$@"`,
    }).outcome;
    expect(code).toBe(1);
    expect(said).toMatch(/No space left on device/);
    expect(said).toMatch(/disk is full.*make room, or set TORCH_CURVATURE_CACHE/s);
    await succeedsNext(sandbox, env);
  });
});
