import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { addon } from '../../../lib/addon/addon.ts';
import type { RawRequest } from '../../../lib/addon/requests.ts';
import type { FloatArray } from '../../../lib/addon/values.ts';
import { Model } from '../../../lib/index.ts';
import { readModelFile } from '../../../lib/model/files/index.ts';
import { FOLDER, inputTensors, modelFiles, relativeError } from './fixtures.ts';

describe.each(modelFiles())('$file', ({ file, expected }) => {
  const load = () => readModelFile(join(FOLDER, file), { trusted: true });

  /** The batch has 5 rows; of exports for a fixed batch, twice that. */
  async function request(chunkSize: number): Promise<RawRequest & { v: FloatArray }> {
    const { program } = await load();
    return {
      program: program.handle,
      params: Float64Array.from(expected.params),
      inputs: inputTensors(expected),
      v: Float64Array.from(expected.v),
      device: 'cpu',
      chunkSize,
      threads: 1,
      engine: 'auto',
    };
  }

  test('has the names and shapes of named_parameters(), and their values', async () => {
    const { program, initialParameters } = await load();
    expect(program.parameters).toEqual(expected.parameters);
    expect(initialParameters).toBeInstanceOf(file.includes('float32') ? Float32Array : Float64Array);
    expect(Array.from(initialParameters)).toEqual(expected.params);
  });

  test('says which batch it was exported for', async () => {
    const { program } = await load();
    expect(program.batch).toBe(file.endsWith('.pt2') ? expected.batch : undefined);
  });

  test.each([0, 2, 1])('gives the output and JᵀJ v of PyTorch, %i rows at once', async (chunkSize) => {
    const asked = await request(chunkSize);
    const output = addon().forwardSync(asked);
    expect(output.shape).toEqual(expected.output.shape);
    expect(relativeError(output.data as FloatArray, expected.output.data)).toBeLessThan(1e-12);
    expect(relativeError(addon().matvecOnTheFlySync(asked), expected.product)).toBeLessThan(1e-10);
  });

  test('gives the same product from the dense Jacobian', async () => {
    for (const strategy of ['jacobian', 'gram'] as const) {
      const dense = addon().matvecDenseSync({ ...(await request(strategy === 'gram' ? 0 : 3)), strategy });
      expect(relativeError(dense, expected.product)).toBeLessThan(1e-10);
    }
  });
});

test('frozen parameters are named, and are constants', async () => {
  for (const file of ['frozen.pt2', 'frozen.old.pt2', 'frozen.pt', 'frozen.script.pt']) {
    const { frozen, program } = await readModelFile(join(FOLDER, file), { trusted: true });
    expect(frozen).toEqual(['frozen.weight', 'frozen.bias']);
    expect(program.parameters.map(({ name }) => name)).toEqual(['free.weight', 'free.bias']);
  }
});

test('inputs of an exported model are described', async () => {
  const { program } = await readModelFile(join(FOLDER, 'two-inputs.pt2'));
  expect(program.inputs).toEqual([
    { name: 'x', dtype: 'float64', shape: ['batch', 3] },
    { name: 'z', dtype: 'float64', shape: ['batch', 2] },
  ]);
});

test('complex results of TorchScript name the line that makes pairs of them', async () => {
  const model = await Model.load(join(FOLDER, 'complex-result.pt'), { trusted: true });
  const x = { data: new Float64Array(6), shape: [2, 3] };
  await expect(model.forward(model.init(), x)).rejects.toMatchObject({
    code: 'ERR_DTYPE_MISMATCH',
    message: expect.stringContaining('torch.view_as_real(y)'),
  });
});

test('a buffer in half precision hinders those that read it alone', async () => {
  const model = await Model.load(join(FOLDER, 'half-spare.pt2'));
  expect(model.init()).toBeInstanceOf(Float32Array);
  await expect(Model.load(join(FOLDER, 'half-read.pt2'))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringContaining('scale has the precision float16; to compute all of the model in one'),
  });
});
