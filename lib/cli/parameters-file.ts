/** Parameters in a file, as `--params` takes them. */
import { extname } from 'node:path';
import { type FloatArray, type Model, saveSafetensors } from '../index.ts';
import { writeNpy } from './npy.ts';
import type { OutputFile } from './output-file.ts';

export const parametersFile = (option: string, path: string): OutputFile => ({
  ...{ option, path },
  extensions: ['.npy', '.safetensors'],
  chosen: true,
});

/** By name and in their shapes where it is a safetensors file, otherwise flat. */
export async function writeParameters(path: string, model: Model, flat: FloatArray): Promise<void> {
  if (extname(path).toLowerCase() !== '.safetensors') return writeNpy(path, flat, [flat.length]);
  await saveSafetensors(path, model.unflatten(flat), { model });
}
