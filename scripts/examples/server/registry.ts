import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type FloatArray, Model, warmUp } from 'torch-curvature';
import { vector } from './arrays.ts';

/** A model that is served, and its parameters as they were exported. */
export interface Served {
  readonly model: Model;
  readonly params: FloatArray;
}

/** What is served, by name. It is read once, at the start: no request can add to it. */
export type Registry = ReadonlyMap<string, Served>;

/** An entry of `models.json`: a `.pt2` file beside it, and the shape of one row of its input. */
interface Entry {
  readonly file: string;
  readonly row: readonly number[];
}

/** Rows of the batch that a model is warmed up with. */
const ROWS = 2;

/** The models of `models.json` in a folder, warmed up: their first request is as fast as the next ones. */
export async function loadRegistry(folder: string): Promise<Registry> {
  const entries: Record<string, Entry> = JSON.parse(await readFile(join(folder, 'models.json'), 'utf8'));
  const registry = new Map<string, Served>();
  for (const [name, { file, row }] of Object.entries(entries)) {
    const model = await Model.load(join(folder, file));
    const params = model.initialParameters!;
    const rows = model.batchSize ?? ROWS;
    const zeros = new Array(row.reduce((product, size) => product * size, rows)).fill(0);
    await warmUp({ model, params, x: { data: vector(zeros, params), shape: [rows, ...row] } });
    registry.set(name, { model, params });
  }
  return registry;
}
