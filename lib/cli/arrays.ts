/** Arrays as options name them: `x.npy`, or one of a safetensors file, `data.safetensors:x`. */
import type { FloatArray, ParameterRecord, Tensor, TypedArray } from '../arrays.ts';
import type { ReadTensor } from '../model/files/read-tensor.ts';
import { loadSafetensorsWithShapes } from '../model/files/safetensors.ts';
import { nearestName } from '../spelling.ts';
import { RunFailure } from './failure.ts';
import { readNpy } from './npy.ts';

/**
 * One array. Of a safetensors file that holds only one, the name may be left out.
 *
 * @throws RunFailure that names the file when it cannot be read or does not hold the array; TorchCurvatureError
 * `ERR_MODEL_LOAD` for a safetensors file that is damaged
 */
export async function readArray(place: string): Promise<ReadTensor> {
  const { path, name } = safetensorsPlace(place) ?? {};
  if (path === undefined) return readNpy(place);
  const arrays = await loadSafetensorsWithShapes(path);
  const names = Object.keys(arrays);
  const wanted = name ?? (names.length === 1 ? names[0]! : undefined);
  if (wanted !== undefined && Object.hasOwn(arrays, wanted)) return arrays[wanted]!;
  const list = names.length > 0 ? `it holds ${names.join(', ')}` : 'it holds none';
  if (wanted === undefined) throw new RunFailure(`${path}: say which array, ${path}:NAME; ${list}`);
  const nearest = nearestName(wanted, names);
  const hint = nearest === undefined ? list : `did you mean '${nearest}'?`;
  throw new RunFailure(`${path}: there is no array '${wanted}'; ${hint}`);
}

/** A floating array; or, of a safetensors file where no array is named, all of its arrays by their names. */
export type FloatsOrRecord = Tensor<FloatArray> | { record: ParameterRecord };

/** @throws RunFailure as `readArray`, and for integers */
export async function readFloats(place: string): Promise<FloatsOrRecord> {
  const { path, name } = safetensorsPlace(place) ?? {};
  if (path === undefined || name !== undefined) {
    const array = await readArray(place);
    return { data: floatsOf(array, place), shape: array.shape };
  }
  const arrays = Object.entries(await loadSafetensorsWithShapes(path));
  return {
    record: Object.fromEntries(arrays.map(([key, array]) => [key, floatsOf(array, `${path}:${key}`)])),
  };
}

/** @throws RunFailure for integers */
export function floatsOf({ data }: Tensor<TypedArray>, place: string): FloatArray {
  if (data instanceof Float32Array || data instanceof Float64Array) return data;
  throw new RunFailure(`${place}: expected float32 or float64 elements, found integers`);
}

function safetensorsPlace(place: string): { path: string; name?: string } | undefined {
  const [, path, name] = /^(.*\.safetensors)(?::(.+))?$/is.exec(place) ?? [];
  if (path === undefined) return undefined;
  return name === undefined ? { path } : { path, name };
}
