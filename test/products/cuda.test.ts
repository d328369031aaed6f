/** On a GPU: the same numbers as on the CPU. Skipped, saying so, where there is none. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { addon } from '../../lib/addon/addon.ts';
import {
  type FloatArray,
  info,
  type Linearization,
  linearize,
  linearizeSync,
  Model,
  matvecDense,
  matvecOnTheFly,
  matvecOnTheFlySync,
  nn,
  profile,
  tensor,
} from '../../lib/index.ts';
import { createProgramSync } from '../../lib/model/create-program.ts';
import { FOLDER, modelFiles } from '../model/files/fixtures.ts';
import { MODEL_CASES, problemOf, relativeError, tensorOf, toFloat32, vector } from '../support/models.ts';

const { cudaDevices, cudaCompiled } = info();
const absent = cudaDevices.length === 0;
/** Why a test of the memory leaves the CPU out. */
const NOT_OURS = " (skipped: the CPU's memory is other processes' as well)";
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

  it('computes float32 in float32, convolutions too', async () => {
    const layers = [
      nn.conv2d(16, 32, 3),
      nn.tanh(),
      nn.conv2d(32, 8, 3),
      nn.flatten(),
      nn.linear(8 * 8 * 8, 3),
    ];
    const model = Model.sequential(layers);
    const params = vector(model.parameterCount, 1);
    const x = tensor(vector(4 * 16 * 12 * 12, 2), [4, 16, 12, 12]);
    const v = vector(model.parameterCount, 3);
    const expected = await matvecOnTheFly({ model, params, x }, v);
    const single = { model, params: toFloat32(params), x: tensor(toFloat32(x.data), x.shape) };
    const result = await matvecOnTheFly(single, toFloat32(v), { device: 'cuda' });
    expect(relativeError(result, expected)).toBeLessThan(2e-5); // with TF32 some 1e-3
  });

  it.each([
    ['of several stages', 1400],
    ['of one', 200],
  ])('takes and gives vectors %s', async (_, width) => {
    const model = Model.sequential([nn.linear(width, width), nn.tanh()]);
    const params = vector(model.parameterCount, 1);
    const x = tensor(vector(3 * width, 2), [3, width]);
    const v = vector(model.parameterCount, 3);
    const expected = await matvecOnTheFly({ model, params, x }, v);
    using lin = await linearize({ model, params, x }, { device: 'cuda' });
    for (let time = 0; time < TIMES; time++)
      expect(relativeError(await lin.matvec(v), expected)).toBeLessThan(1e-11);
  });

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

/** More products of each kind than are taken before a graph is captured, so that the last ones replay it. */
const TIMES = 6;

/** Products of every kind, each with another vector. */
async function products(lin: Linearization, salt = 0): Promise<FloatArray[]> {
  const results: FloatArray[] = [];
  for (let time = 0; time < TIMES; time++) {
    const v = vector(lin.parameterCount, salt + time);
    const u = vector(
      lin.outputShape.reduce((a, b) => a * b, 1),
      salt + time + 0.5,
    );
    results.push((await lin.jvp(v)).data, await lin.vjp(u), await lin.matvec(v));
  }
  return results;
}

function expectSame(results: readonly FloatArray[], expected: readonly FloatArray[]) {
  expect(results.length).toBe(expected.length);
  for (const [i, result] of results.entries())
    expect(relativeError(result, expected[i]!)).toBeLessThan(1e-11);
}

// The CPU takes the same tests, so that they are known to hold where there is no GPU to run them on.
describe.each(['cpu', 'cuda'])('products taken again and again', (device) => {
  const skipped = device === 'cuda' && absent;
  const options = { device, engine: 'autograd' } as const;

  describe.skipIf(skipped)(`on ${device}${skipped ? reason : ''}`, () => {
    it.each(MODEL_CASES.map((each) => [each.name, each] as const))(
      'are those of a new linearization: %s',
      async (_, each) => {
        const problem = problemOf(each);
        using reference = linearizeSync(problem, { engine: 'autograd' });
        const expected = await products(reference);
        for (const how of [{}, { chunkSize: 2 }, { chunkSize: 2, memoryBudget: 1 }, { products: 1 }]) {
          using lin = await linearize(problem, { ...options, ...how });
          expectSame(await products(lin), expected);
          expect(relativeError(lin.output.data, each.y.data)).toBeLessThan(1e-11);
        }
      },
    );

    it.each(modelFiles().filter(({ file }) => file.endsWith('.pt2')))(
      'are those of a new linearization: $file',
      async ({ file, expected }) => {
        const model = await Model.load(join(FOLDER, file), { trusted: true });
        const inputs = expected.inputs.map(({ dtype, ...stored }) =>
          tensorOf({ ...stored, integer: dtype === 'int64' }),
        );
        const problem = { model, params: Float64Array.from(expected.params), x: inputs };
        using reference = linearizeSync(problem, { engine: 'autograd' });
        using lin = linearizeSync(problem, options);
        expectSame(await products(lin), await products(reference));
      },
    );

    it('do not change each other, in two linearizations used in turn while others come and go', async () => {
      const cases = MODEL_CASES.slice(0, 2);
      const pairs = cases.map((each) => [linearizeSync(problemOf(each), options), each] as const);
      const taken: { result: FloatArray; expected: FloatArray }[] = [];
      for (let time = 0; time < TIMES; time++) {
        using other = linearizeSync(problemOf(cases[time % 2]!), options);
        await products(other, time);
        for (const [lin, each] of pairs) {
          const v = vector(lin.parameterCount, time);
          taken.push({ result: lin.matvecSync(v), expected: matvecOnTheFlySync(problemOf(each), v) });
        }
      }
      for (const [lin] of pairs) lin.dispose();
      for (const { result, expected } of taken) expect(relativeError(result, expected)).toBeLessThan(1e-11);
    });

    it('may be taken at once from several linearizations, made and disposed of meanwhile', async () => {
      const rounds = Array.from({ length: 12 }, async (_, round) => {
        const problem = problemOf(MODEL_CASES[round % MODEL_CASES.length]!);
        using reference = await linearize(problem, { engine: 'autograd' });
        using lin = await linearize(problem, options);
        const v = vector(lin.parameterCount, round);
        const [first, second, direct] = await Promise.all([
          products(lin, round),
          products(lin, round + 100),
          matvecOnTheFly(problem, v, { device }),
        ]);
        expectSame(first, await products(reference, round));
        expectSame(second, await products(reference, round + 100));
        expect(relativeError(direct, await reference.matvec(v))).toBeLessThan(1e-11);
      });
      await Promise.all(rounds);
    });

    it('work for an operator whose derivative waits for the device', () => {
      // The derivative of a product of elements looks for zeros among them.
      const { handle: program } = createProgramSync({
        parameters: [{ name: 'weight', shape: [2, 3] }],
        inputs: [{ name: 'x', shape: ['batch', 3] }],
        constants: [],
        nodes: [
          { target: 'aten::linear', args: [{ ref: 1 }, { ref: 0 }], outputs: 1 },
          { target: 'aten::prod.dim_int', args: [{ ref: 2 }, 1, true], outputs: 1 },
        ],
        output: 3,
      });
      const request = {
        program,
        params: vector(6, 1),
        inputs: [{ data: vector(12, 2), shape: [4, 3] }],
        chunkSize: 0,
        threads: 0,
        engine: 'autograd',
      };
      const [lin, reference] = [device, 'cpu'].map((device) => addon().linearizeSync({ ...request, device }));
      for (let time = 0; time < TIMES; time++) {
        const v = vector(6, time);
        const [result, expected] = [lin!, reference!].map((linearization) =>
          addon().linearizationApplySync({ linearization, product: 'matvec', v, threads: 0 }),
        );
        expect(relativeError(result!, expected!)).toBeLessThan(1e-11);
      }
      for (const linearization of [lin!, reference!]) addon().linearizationDispose(linearization);
    });

    it.skipIf(device === 'cpu')(`give their memory back${device === 'cpu' ? NOT_OURS : ''}`, async () => {
      const problem = problemOf(MODEL_CASES[0]!);
      const cycle = async () => {
        using lin = linearizeSync(problem, options);
        await products(lin);
      };
      for (let time = 0; time < 3; time++) await cycle();
      const before = addon().availableMemory(device);
      for (let time = 0; time < 30; time++) await cycle();
      // Other processes, of other tests, use the device meanwhile, half a gigabyte each.
      await expect
        .poll(() => addon().availableMemory(device), { timeout: 60_000, interval: 500 })
        .toBeGreaterThan(before - 100e6);
    });
  });
});

describe.skipIf(!absent)(`without a CUDA device${absent ? '' : ' (skipped: there is one)'}`, () => {
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
