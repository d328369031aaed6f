/** Models from files, by the file's extension. A new format adds a reader to the table. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { Model, nn, TorchCurvatureError } from '../index.ts';
import type { ReadTensor } from '../model/files/read-tensor.ts';

type Reader = (path: string, trusted: boolean) => Promise<Model>;

const READERS: Readonly<Record<string, Reader>> = {
  '.json': readLayerList,
  '.pt2': (path) => Model.load(path),
  '.pt': (path, trusted) => Model.load(path, { trusted }),
};

const readerOf = (path: string) => READERS[extname(path).toLowerCase()];
/** Whether a file lists layers, which carry no weights. */
export const isLayerList = (path: string) => readerOf(path) === readLayerList;
const isTorchScript = (path: string) => readerOf(path) === READERS['.pt'];

/**
 * The model a file describes. TorchScript is code, and needs `trusted`.
 *
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` when the file is missing, damaged or of an unknown kind
 */
export async function readModel(path: string, trusted: boolean): Promise<Model> {
  const reader = readerOf(path);
  if (reader === undefined) {
    const extension = extname(path).toLowerCase();
    const known = Object.keys(READERS).join(', ');
    throw loadError(path, `files ending in '${extension}' are not supported; expected one of ${known}`);
  }
  return reader(path, trusted);
}

/**
 * A model that was read, for arrays from files. TorchScript does not tell which inputs are of truth values or bytes; they are of
 * what the arrays are, as PyTorch takes those of NumPy.
 */
export async function forArrays(
  model: Model,
  path: string,
  trusted: boolean,
  arrays: readonly (ReadTensor | undefined)[],
): Promise<Model> {
  const kinds = model.inputs.flatMap(({ name, dtype }, index) => {
    const bytes = arrays[index]?.bytes;
    return dtype === undefined && bytes !== undefined ? [[name, bytes] as const] : [];
  });
  if (kinds.length === 0 || !isTorchScript(path)) return model;
  return Model.load(path, { trusted, inputs: Object.fromEntries(kinds) });
}

/** `{ "layers": [["linear", 4, 64], ["tanh"], …] }`: each entry is a function of `nn` and its arguments. */
async function readLayerList(path: string): Promise<Model> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw loadError(path, (error as Error).message, error);
  }
  const layers = (content as { layers?: unknown } | null)?.layers;
  if (!Array.isArray(layers)) {
    throw loadError(path, 'expected an object with a list "layers"');
  }
  try {
    return Model.sequential(layers.map(layer));
  } catch (error) {
    throw loadError(path, (error as Error).message, error);
  }
}

type Layer = Parameters<typeof Model.sequential>[0][number];

function layer(entry: unknown, index: number): Layer {
  const [name, ...args] = Array.isArray(entry) ? entry : [];
  if (typeof name !== 'string' || !Object.hasOwn(nn, name)) {
    const known = Object.keys(nn).join(', ');
    throw new TypeError(`layer ${index}: expected [name, …arguments] with a name out of ${known}`);
  }
  const make = nn[name as keyof typeof nn] as (...args: unknown[]) => Layer;
  try {
    return make(...args);
  } catch (error) {
    throw new TypeError(`layer ${index} (${name}): ${(error as Error).message}`, { cause: error });
  }
}

function loadError(path: string, reason: string, cause?: unknown): Error {
  return new TorchCurvatureError('ERR_MODEL_LOAD', `${path}: ${reason}`, { cause });
}
