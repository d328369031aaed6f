/** The download: what is taken, that nothing unverified gets into the cache, and runs that are killed or meet. */
import { existsSync, mkdirSync, readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { libtorchFiles, Sandbox } from './sandbox.ts';
import { writeWheel } from './wheel.ts';

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
  expect(sandbox.cached()).toEqual([NAME]);
});

test('a failed download shows what pip said and how to go on', async () => {
  const { code, said } = await new Sandbox().resolve();
  expect(code).toBe(1);
  expect(said).toMatch(/No matching distribution found for torch==2\.13\.0$/m);
  expect(said).toMatch(/HTTPS_PROXY.*set LIBTORCH to its folder/s);
});

test('a wheel whose checksum is not pinned is refused', async () => {
  const sandbox = new Sandbox();
  const pinned = sandbox.offerTorch();
  const other = writeWheel(sandbox.index, TORCH, libtorchFiles('torch/'));
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toContain(`got      ${other.sha256}`);
  expect(said).toContain(pinned.sha256);
  expect(said).toContain('set LIBTORCH');
  expect(sandbox.cached()).toEqual([]);
});

test('a CUDA build in place of the CPU build is recognised', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  writeWheel(sandbox.index, TORCH, libtorchFiles('torch/'), {
    requires: ['nvidia-cublas==13.1; extra == "x"'],
  });
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toContain('pip served a CUDA build');
});

test('a file that differs from the wheel’s RECORD is refused', async () => {
  const sandbox = new Sandbox();
  const file = 'torch/lib/libc10.so';
  sandbox.pin([writeWheel(sandbox.index, TORCH, libtorchFiles('torch/'), { record: { [file]: 'AAAA' } })]);
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toContain(`${file} differs from its RECORD`);
  expect(sandbox.cached()).toEqual([]);
});

test('a wheel that is cut short is refused', async () => {
  const sandbox = new Sandbox();
  writeFileSync(join(sandbox.index, TORCH), 'PK');
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toContain(`${TORCH} cannot be read`);
});

test('too small a disk is noticed before the download', async () => {
  const sandbox = new Sandbox();
  sandbox.pin([sandbox.offerTorch()], 'cpu', 1e18);
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(1);
  expect(said).toMatch(/left, but fetching libtorch 2\.13\.0 \(cpu\) takes .*TORCH_CURVATURE_CACHE/);
  expect(sandbox.downloads()).toEqual([]);
});

test('a killed run leaves nothing that hinders the next one', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  const { child, outcome } = sandbox.start('resolve', { FAKE_HANG: '1' });
  while (sandbox.downloads().length < 2) await sleep(20);
  child.kill('SIGKILL');
  await outcome;
  process.kill(sandbox.calls().at(-1)!.pid);
  expect(sandbox.cached()).toEqual([expect.stringMatching(/^\.partial-/), 'lock']);

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

test('a truncated library in the cache is noticed and fetched again', async () => {
  const sandbox = new Sandbox();
  sandbox.offerTorch();
  await sandbox.resolve();
  const library = join(sandbox.cache, NAME, 'torch/lib/libtorch_cpu.so');
  truncateSync(library, 3);
  const { code, said } = await sandbox.resolve();
  expect(code).toBe(0);
  expect(said).toContain('is damaged; fetching it again');
  expect(readFileSync(library, 'utf8')).toBe('machine code');
});

test.runIf(process.platform === 'linux')(
  'the CUDA variant takes the NVIDIA wheels that the wheel requires',
  async () => {
    const sandbox = new Sandbox();
    const library = (name: string) => ({
      [`nvidia/${name}/lib/lib${name}.so.13`]: name,
      [`nvidia/${name}/bin/tool`]: '',
    });
    const wheels = [
      writeWheel(
        sandbox.index,
        TORCH,
        { ...libtorchFiles('torch/'), 'torch/lib/libtorch_cuda.so': '' },
        {
          requires: [
            'sympy>=1.13.3',
            'cuda-toolkit[cublas,cudart]==13.0.3; platform_system == "Linux"',
            'nvidia-cudnn-cu13==9.1; platform_system == "Linux" and python_version < "3.15"',
            'nvidia-only-on-windows==1.0; platform_system == "Windows"',
            'nvidia-old-python==1.0; python_version < "3.9"',
          ],
        },
      ),
      writeWheel(
        sandbox.index,
        'cuda_toolkit-13.0.3.0-py3-none-any.whl',
        {},
        {
          requires: [
            `nvidia-cublas==13.1.*; (sys_platform == 'linux' or sys_platform == 'win32') and extra == 'cublas'`,
            `nvidia-cuda-runtime==13.0.*; sys_platform == 'linux' and extra == 'cudart'`,
            `nvidia-npp==13.0.*; sys_platform == 'linux' and extra == 'npp'`,
          ],
        },
      ),
      writeWheel(sandbox.index, 'nvidia_cudnn_cu13-9.1-py3-none-any.whl', library('cudnn'), {
        requires: ['nvidia-cublas'],
      }),
      writeWheel(sandbox.index, 'nvidia_cuda_crt-13.0.88-py3-none-any.whl', {
        'nvidia/cu13/include/crt/host_config.h': '',
      }),
      writeWheel(sandbox.index, 'nvidia_cublas-13.1.1-py3-none-any.whl', library('cublas')),
      writeWheel(sandbox.index, 'nvidia_cuda_runtime-13.0.96-py3-none-any.whl', library('cudart')),
    ];
    sandbox.pin(wheels, 'cuda');
    const { code, libtorch } = await sandbox.resolve({ TORCH_CURVATURE_VARIANT: 'cuda' });
    expect(code).toBe(0);
    const folder = join(sandbox.cache, 'libtorch-2.13.0-cuda');
    expect(libtorch).toEqual({ path: join(folder, 'torch'), version: '2.13.0', variant: 'cuda' });
    expect(sandbox.downloads().slice(2).flat().sort()).toEqual([
      'cuda-toolkit==13.0.3.0',
      'nvidia-cublas==13.1.1',
      'nvidia-cuda-crt==13.0.88',
      'nvidia-cuda-runtime==13.0.96',
      'nvidia-cudnn-cu13==9.1',
    ]);
    for (const name of ['cudnn', 'cublas', 'cudart']) {
      expect(existsSync(join(folder, `nvidia/${name}/lib/lib${name}.so.13`))).toBe(true);
      expect(existsSync(join(folder, `nvidia/${name}/bin`))).toBe(false);
    }
  },
);
