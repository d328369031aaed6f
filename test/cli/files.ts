/** Files for commands on an operator, of a model whose matrices are known. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dump, parse } from 'npyjs';
import { run, temporaryFolder } from './run.ts';

type Data = Parameters<typeof dump>[0];
type Content = Record<string, string | Uint8Array>;

export const npy = (data: Data, shape: number[]) => new Uint8Array(dump(data, shape));

/** A safetensors file of float32 arrays. */
export function safetensors(arrays: Record<string, { data: number[]; shape: number[] }>): Uint8Array {
  let end = 0;
  const header = Object.entries(arrays).map(([name, { data, shape }]) => {
    const begin = end;
    end += 4 * data.length;
    return [name, { dtype: 'F32', shape, data_offsets: [begin, end] }];
  });
  const json = Buffer.from(JSON.stringify(Object.fromEntries(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const data = Float32Array.from(Object.values(arrays).flatMap((each) => each.data));
  return Buffer.concat([length, json, Buffer.from(data.buffer)]);
}

/**
 * One linear layer: J is x itself beside a column of ones, [[1, 2, 1], [3, 4, 1]], and the outputs are 0.8 and 1.4, each
 * half a unit from its target.
 */
export const LINEAR: Content = {
  'model.json': JSON.stringify({ layers: [['linear', 2, 1]] }),
  'x.npy': npy(new Float32Array([1, 2, 3, 4]), [2, 2]),
  'v.npy': npy(new Float32Array([1, -1, 0.5]), [3]),
  'params.npy': npy(new Float32Array([0.1, 0.2, 0.3]), [3]),
  'target.npy': npy(new Float32Array([0.3, 1.9]), [2, 1]),
};

/** A folder with these files, those of `LINEAR` and commands in it. */
export async function filesOf(overrides: Content = {}) {
  const folder = await temporaryFolder();
  for (const [name, data] of Object.entries({ ...LINEAR, ...overrides }))
    await writeFile(join(folder, name), data);
  return {
    folder,
    run: (...args: string[]) => run(args, { cwd: folder }),
    /** A command on the linear model with its data and parameters. */
    on: (command: string, ...args: string[]) =>
      run([command, '--model', 'model.json', '--x', 'x.npy', '--params', 'params.npy', ...args], {
        cwd: folder,
      }),
    array: async (name: string) => {
      const { data, shape, dtype } = parse(new Uint8Array(await readFile(join(folder, name))).buffer);
      return { data: Array.from(data as Float64Array, Number), shape, dtype };
    },
    json: async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8')),
  };
}
