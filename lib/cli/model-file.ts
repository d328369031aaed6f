/** Models from files, by the file's extension. A new format adds a reader to the table. */
import { readFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { Model, nn, TorchCurvatureError } from '../index.ts';

type Reader = (path: string, trusted: boolean) => Promise<Model>;

const READERS: Readonly<Record<string, Reader>> = {
  '.json': readLayerList,
  '.pt2': (path) => Model.load(path),
  '.pt': (path, trusted) => Model.load(path, { trusted }),
};

/** Whether a file lists layers, which carry no weights. */
export const isLayerList = (path: string) => READERS[extname(path).toLowerCase()] === readLayerList;

/**
 * The model a file describes. TorchScript is code, and needs `trusted`.
 *
 * @throws TorchCurvatureError `ERR_MODEL_LOAD` when the file is missing, damaged or of an unknown kind
 */
export async function readModel(path: string, trusted: boolean): Promise<Model> {
  const extension = extname(path).toLowerCase();
  const reader = READERS[extension];
  if (reader === undefined) {
    const known = Object.keys(READERS).join(', ');
    throw loadError(path, `files ending in '${extension}' are not supported; expected one of ${known}`);
  }
  return reader(path, trusted);
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
