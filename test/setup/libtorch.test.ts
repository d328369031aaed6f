/** Where the set-up takes libtorch from, and what it says when it cannot. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Sandbox } from './sandbox.ts';

const NAME = 'libtorch-2.13.0-cpu';

test('the order is LIBTORCH, the PyTorch of python3, the cache, a download', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const own = sandbox.makeLibtorch('own', '2.6.0');
  const python = sandbox.makeLibtorch('python', '2.9.1');
  const environment = { LIBTORCH: own, LIBTORCH_USE_PYTORCH: '1', FAKE_TORCH: python };

  const fromVariable = await sandbox.resolve(environment);
  expect(fromVariable).toMatchObject({ code: 0, libtorch: { path: own, version: '2.6.0', variant: 'cpu' } });
  expect(fromVariable.said).toContain('LIBTORCH)');

  const fromPython = await sandbox.resolve({ ...environment, LIBTORCH: '' });
  expect(fromPython).toMatchObject({ code: 0, libtorch: { path: python, version: '2.9.1' } });
  expect(fromPython.said).toContain('LIBTORCH_USE_PYTORCH)');
  expect(sandbox.downloads()).toEqual([]);

  const downloaded = await sandbox.resolve();
  const path = join(sandbox.cache, NAME, 'torch');
  expect(downloaded).toMatchObject({ code: 0, libtorch: { path, version: '2.13.0' } });
  expect(downloaded.said).toContain('downloaded)');

  const fromCache = await sandbox.resolve();
  expect(fromCache).toMatchObject({ code: 0, libtorch: { path } });
  expect(fromCache.said).toContain('cache)');
});

test('the cache is in the user’s cache folder unless TORCH_CURVATURE_CACHE names another', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const { libtorch } = await sandbox.resolve({ TORCH_CURVATURE_CACHE: '', XDG_CACHE_HOME: sandbox.folder });
  expect(libtorch?.path).toBe(join(sandbox.folder, 'torch-curvature', NAME, 'torch'));
});

test('a filled cache serves without Python or network', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  await sandbox.resolve();
  const before = sandbox.calls().length;
  rmSync(join(sandbox.folder, 'bin', 'python3'));
  expect(await sandbox.resolve()).toMatchObject({ code: 0 });
  expect(sandbox.calls()).toHaveLength(before);
});

test('a folder with a CUDA library is the CUDA variant', async () => {
  const sandbox = new Sandbox();
  const own = sandbox.makeLibtorch('own');
  writeFileSync(join(own, 'lib/libtorch_cuda.so'), '');
  expect((await sandbox.resolve({ LIBTORCH: own })).libtorch?.variant).toBe('cuda');
});

test.each([
  [
    'a folder that does not exist',
    () => '/nowhere/libtorch',
    /LIBTORCH: .*\/nowhere\/libtorch does not exist/,
  ],
  [
    'a folder without headers',
    (s: Sandbox) => without(s, 'include/ATen/ATen.h'),
    /it has no include\/ATen\/ATen\.h/,
  ],
  ['a folder without libraries', (s: Sandbox) => without(s, 'lib/libc10.so'), /it has no lib\/libc10\.so/],
  ['a folder of unknown version', (s: Sandbox) => without(s, 'include/torch'), /do not tell their version/],
  [
    'libtorch 2.5',
    (s: Sandbox) => s.makeLibtorch('old', '2.5.1'),
    /is libtorch 2\.5\.1, but 2\.6 or later is needed/,
  ],
  [
    'libtorch 1.13',
    (s: Sandbox) => s.makeLibtorch('old', '1.13.0'),
    /is libtorch 1\.13\.0, but 2\.6 or later/,
  ],
])('LIBTORCH refuses %s', async (_, make, message) => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const { code, said } = await sandbox.resolve({ LIBTORCH: make(sandbox) });
  expect(code).toBe(1);
  expect(said).toMatch(message);
  expect(said).not.toMatch(/^ {4}at /m); // no stack
  expect(sandbox.downloads()).toEqual([]);
});

test('LIBTORCH_USE_PYTORCH without a PyTorch says so', async () => {
  const { code, said } = await new Sandbox().resolve({ LIBTORCH_USE_PYTORCH: '1' });
  expect(code).toBe(1);
  expect(said).toMatch(/the python3 on PATH has no PyTorch/);
});

test('an unknown variant is refused', async () => {
  const { code, said } = await new Sandbox().resolve({ TORCH_CURVATURE_VARIANT: 'rocm' });
  expect(code).toBe(1);
  expect(said).toMatch(/TORCH_CURVATURE_VARIANT is "rocm", expected "cpu" or "cuda"/);
});

test('a missing Python, compiler or CMake is named with what to install', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const empty = join(sandbox.folder, 'index');
  const python = await sandbox.resolve({ PATH: empty });
  expect(python).toMatchObject({
    code: 1,
    said: expect.stringMatching(/python3 was not found.*apt install python3-pip/s),
  });

  const bin = join(sandbox.folder, 'bin');
  const toolchain = async () => (await sandbox.start('toolchain', { PATH: bin }).outcome).said;
  const put = (name: string, prints: string) =>
    writeFileSync(join(bin, name), `#!/bin/sh\necho '${prints}'\n`, { mode: 0o755 });
  expect(await toolchain()).toMatch(/CMake was not found.*apt install cmake/);
  put('cmake', 'cmake version 3.16.3');
  expect(await toolchain()).toMatch(/CMake 3\.16\.3 is too old, 3\.18 or later/);
  put('cmake', 'cmake version 3.25.1');
  expect(await toolchain()).toMatch(/No C\+\+ compiler was found.*apt install build-essential/);
  put('c++', 'g++ 12');
  expect(await toolchain()).toMatch(/Neither Ninja nor Make/);
  put('make', 'GNU Make 4.3');
  expect(await toolchain()).toBe('');
});

function without(sandbox: Sandbox, part: string): string {
  const folder = sandbox.makeLibtorch('own');
  rmSync(join(folder, part), { recursive: true });
  return folder;
}
