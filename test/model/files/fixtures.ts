/** The models of scripts/reference/models.py, with PyTorch's values in float64. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RawTensor } from '../../../lib/addon/values.ts';

export const FOLDER = join(import.meta.dirname, '../../fixtures/models');

const FORMATS = ['.pt2', '.old.pt2', '.strict.pt2', '.strict.old.pt2', '.pt', '.script.pt'];

interface Stored {
  shape: number[];
  data: number[];
  dtype?: string;
}

export interface Expected {
  parameters: { name: string; shape: number[] }[];
  params: number[];
  inputs: Stored[];
  output: Stored;
  v: number[];
  product: number[];
  /** Rows that the export is for, where it is for a fixed number of them. */
  batch?: number;
}

export interface ModelFile {
  file: string;
  expected: Expected;
}

/** Models whose rows depend on one another. */
const TOGETHER = /^(rows|baked)-/;

/** Each file with the values it should give, whichever rows are computed together. */
export function modelFiles(): ModelFile[] {
  return filesOf((name) => !TOGETHER.test(name));
}

/** Files of models whose rows depend on one another, with the values that they give together. */
export function dependentFiles(): ModelFile[] {
  return filesOf((name) => TOGETHER.test(name));
}

function filesOf(wanted: (name: string) => boolean): ModelFile[] {
  return readdirSync(FOLDER)
    .filter((name) => name.endsWith('.json') && wanted(name))
    .flatMap((name) => {
      const expected = JSON.parse(readFileSync(join(FOLDER, name), 'utf8')) as Expected;
      return FORMATS.map((format) => name.replace('.json', format))
        .filter((file) => existsSync(join(FOLDER, file)))
        .map((file) => ({ file, expected }));
    });
}

export function inputTensors({ inputs }: Expected): RawTensor[] {
  return inputs.map(({ shape, data, dtype }) => ({
    shape,
    data: dtype === 'int64' ? BigInt64Array.from(data, BigInt) : Float64Array.from(data),
  }));
}

/** The largest difference, relative to the largest expected value. */
export function relativeError(actual: ArrayLike<number | bigint>, expected: readonly number[]): number {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(Number(actual[i]) - value))) / scale;
}
