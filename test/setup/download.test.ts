/** The download: what is taken, that nothing unverified gets into the cache, and runs that are killed or meet. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { libtorchFiles, Sandbox } from './sandbox.ts';

const NAME = 'libtorch-2.13.0-cpu';
const TORCH = 'torch-2.13.0-cp311-none-any.whl';

test('sources are tried in order, and only what is needed is unpacked', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  expect(await sandbox.resolve()).toMatchObject({ code: 0 });
  expect(sandbox.downloads()).toEqual([['torch==2.13.0+local'], ['torch==2.13.0']]);
  const torch = join(sandbox.cache, NAME, 'torch');
  expect(readFileSync(join(torch, 'lib/libtorch_cpu.so'), 'utf8')).toBe('machine code');
  expect(existsSync(join(torch, 'share/cmake/Torch/TorchConfig.cmake'))).toBe(true);
  expect(existsSync(join(torch, 'lib/libtorch_python.so'))).toBe(false);
  expect(existsSync(join(torch, 'nn'))).toBe(false);
  expect(existsSync(join(sandbox.cache, NAME, 'torch-2.13.0.dist-info/licenses/LICENSE'))).toBe(true);
  expect(sandbox.cached()).toEqual([NAME]);
});

test('a failed download shows what pip said and how to go on', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  rmSync(join(sandbox.index, TORCH));
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toMatch(/No matching distribution found for torch==2\.13\.0$/m);
  expect(said).toMatch(/HTTPS_PROXY.*set LIBTORCH to its folder/s);
});

test('a wheel whose checksum is not pinned is refused', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  sandbox.offer(TORCH, libtorchFiles('torch/', 'altered'));
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toContain('DO NOT MATCH THE HASHES');
  expect(said).toMatch(/another build than the pinned one.*TORCH_CURVATURE_VARIANT=cuda.*set LIBTORCH/s);
  expect(sandbox.cached()).toEqual([]);
});

test('too small a disk is noticed before the download', async () => {
  const sandbox = new Sandbox();
  sandbox.pin([sandbox.offerTorch()], 'cpu', 1e18);
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toMatch(/left, but fetching libtorch 2\.13\.0 \(cpu\) takes .*TORCH_CURVATURE_CACHE/);
  expect(sandbox.downloads()).toEqual([]);
});

test('what a killed run started ends with it, and nothing hinders the next one', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const { child, outcome } = sandbox.start('resolve', { FAKE_HANG: '1' });
  while (sandbox.downloads().length < 2) await sleep(20);
  child.kill('SIGKILL');
  await outcome;
  expect(sandbox.cached()).toEqual([expect.stringMatching(/^\.partial-/), 'lock']);
  await vi.waitFor(() => expect(() => process.kill(sandbox.calls().at(-1)!.pid, 0)).toThrow('ESRCH'), 5000);

  expect(await sandbox.resolve()).toMatchObject({ code: 0 });
  expect(sandbox.cached()).toEqual([NAME]);
});

test('of two set-ups at once one downloads and the other waits', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const outcomes = await Promise.all([sandbox.resolve(), sandbox.resolve(), sandbox.resolve()]);
  expect(outcomes.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(sandbox.downloads()).toHaveLength(2); // one run: two sources
  expect(sandbox.cached()).toEqual([NAME]);
});

test('the lock of another machine is taken over once it has not been touched for a minute', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  mkdirSync(sandbox.cache);
  const lock = join(sandbox.cache, 'lock');
  writeFileSync(lock, JSON.stringify({ pid: 1, host: 'another', started: 0 }));
  const { outcome } = sandbox.start('resolve');
  await sleep(1000);
  expect(sandbox.downloads()).toEqual([]);
  const old = new Date(Date.now() - 120_000);
  utimesSync(lock, old, old);
  const { code, said } = await outcome;
  expect(code).toBe(0);
  expect(said).toContain('waiting for it');
  expect(sandbox.cached()).toEqual([NAME]);
});

test.each([
  ['truncated', (file: string) => truncateSync(file, 3)],
  ['altered', (file: string) => writeFileSync(file, 'MACHINE CODE')],
])('a library in the cache that was %s is noticed and fetched again', async (_, spoil) => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  await sandbox.resolve();
  const library = join(sandbox.cache, NAME, 'torch/lib/libtorch_cpu.so');
  spoil(library);
  utimesSync(library, new Date(), new Date(0));
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(0);
  expect(said).toContain('is damaged; fetching it again');
  expect(readFileSync(library, 'utf8')).toBe('machine code');
});

test('a cache that was copied is not fetched again', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  await sandbox.resolve();
  utimesSync(join(sandbox.cache, NAME, 'torch/lib/libtorch_cpu.so'), new Date(), new Date(0));
  const { said } = await sandbox.resolve();
  expect(said).toContain('cache)');
});

test.runIf(process.platform === 'linux')('the CUDA variant takes every pinned wheel at once', async () => {
  const sandbox = new Sandbox();
  const library = (name: string) => ({
    [`nvidia/${name}/lib/lib${name}.so.13`]: name,
    [`nvidia/${name}/include/${name}.h`]: '',
    [`nvidia/${name}/bin/tool`]: '',
  });
  const wheels = [
    sandbox.offer(TORCH, { ...libtorchFiles('torch/'), 'torch/lib/libtorch_cuda.so': '' }),
    sandbox.offer('cuda_toolkit-13.0.3.0-py3-none-any.whl', {}),
    sandbox.offer('nvidia_cudnn_cu13-9.1-py3-none-any.whl', library('cudnn')),
    sandbox.offer('nvidia_cublas-13.1.1-py3-none-any.whl', library('cublas')),
  ];
  sandbox.pin(wheels, 'cuda');
  const { code, libtorch } = await sandbox.resolve({ TORCH_CURVATURE_VARIANT: 'cuda' });
  expect(code).toBe(0);
  const folder = join(sandbox.cache, 'libtorch-2.13.0-cuda');
  expect(libtorch).toEqual({ path: join(folder, 'torch'), version: '2.13.0', variant: 'cuda' });
  expect(sandbox.downloads().at(-1)).toEqual([
    'torch==2.13.0',
    'cuda_toolkit==13.0.3.0',
    'nvidia_cudnn_cu13==9.1',
    'nvidia_cublas==13.1.1',
  ]);
  for (const name of ['cudnn', 'cublas']) {
    expect(existsSync(join(folder, `nvidia/${name}/lib/lib${name}.so.13`))).toBe(true);
    expect(existsSync(join(folder, `nvidia/${name}/bin`))).toBe(false);
  }
});
