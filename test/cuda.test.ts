/** On a GPU: the same numbers as on the CPU. Skipped, saying so, where there is none. */
import { describe, expect, it } from 'vitest';
import { info, matvecDense, matvecOnTheFly, matvecOnTheFlySync, profile } from '../lib/index.ts';
import { MODEL_CASES, problemOf, relativeError, toFloat32 } from './models.ts';

const { cudaDevices, cudaCompiled } = info();
const absent = cudaDevices.length === 0;
const reason = absent ? ' (skipped: no CUDA device)' : '';

describe.skipIf(absent)(`CUDA${reason}`, () => {
  it.each(MODEL_CASES.map((each) => [each.name, each] as const))(
    "gives PyTorch's numbers: %s",
    async (_, each) => {
      const problem = problemOf(each);
      const v = Float64Array.from(each.v);
      for (const device of ['cuda', 'cuda:0']) {
        for (const chunkSize of [1000, 2]) {
          const options = { device, chunkSize };
          expect(relativeError(await matvecOnTheFly(problem, v, options), each.jtjv)).toBeLessThan(1e-11);
          expect(relativeError(await matvecDense(problem, v, options), each.jtjv)).toBeLessThan(1e-11);
        }
      }
      const { data, shape } = problem.x;
      const x = { data: data instanceof Float64Array ? toFloat32(data) : data, shape };
      const single = { ...problem, params: toFloat32(each.params), x };
      const result = matvecOnTheFlySync(single, toFloat32(each.v), { device: 'cuda' });
      expect(relativeError(result, each.jtjv)).toBeLessThan(1e-3);
    },
  );

  it('is profiled: kernels have times and memory', async () => {
    const each = MODEL_CASES[0]!;
    const { profile: recorded } = await profile(
      () => matvecOnTheFly(problemOf(each), Float64Array.from(each.v), { device: 'cuda' }),
      { activities: ['cpu', 'cuda'], profileMemory: true },
    );
    expect(recorded.selfDeviceTimeTotal).toBeGreaterThan(0);
    const table = recorded.keyAverages().table({ sortBy: 'cuda_time_total' });
    expect(table).toContain('Self CUDA');
    expect(table).toContain('CUDA Mem');
  });

  it('refuses a device beyond those that are there', async () => {
    const each = MODEL_CASES[0]!;
    const options = { device: `cuda:${cudaDevices.length}` };
    await expect(matvecOnTheFly(problemOf(each), Float64Array.from(each.v), options)).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_DEVICE_UNAVAILABLE' }),
    );
  });
});

describe.skipIf(!absent)('without a CUDA device', () => {
  const each = MODEL_CASES[0]!;
  const v = Float64Array.from(each.v);

  it.each(['cuda', 'cuda:0', 'cuda:7'])('%s is refused, and the CPU still works', async (device) => {
    const message = expect.stringMatching(cudaCompiled ? /usable CUDA device/ : /CPU build of libtorch/);
    const unavailable = expect.objectContaining({ code: 'ERR_DEVICE_UNAVAILABLE', message });
    expect(() => matvecOnTheFlySync(problemOf(each), v, { device })).toThrow(unavailable);
    await expect(matvecDense(problemOf(each), v, { device })).rejects.toThrow(unavailable);
    expect(relativeError(await matvecDense(problemOf(each), v), each.jtjv)).toBeLessThan(1e-12);
  });

  it('the activity cannot be profiled', async () => {
    await expect(profile(() => 1, { activities: ['cpu', 'cuda'] })).rejects.toThrow(
      expect.objectContaining({ code: 'ERR_DEVICE_UNAVAILABLE' }),
    );
    await expect(profile(() => 1)).resolves.toBeDefined();
  });
});
