/** The table of models that laws are tested over, with PyTorch's values (written by scripts/reference/fixtures.py). */
import { readFileSync } from 'node:fs';
import { type FloatArray, Model, nn, type Problem, type Tensor } from '../../lib/index.ts';

type LayerList = readonly (readonly [string, ...unknown[]])[];

interface StoredTensor {
  shape: number[];
  data: number[];
  integer?: boolean;
  /** Whether the data are truth values. */
  truth?: boolean;
}

export interface LossCase {
  loss: 'mse' | 'cross_entropy' | 'bce_with_logits';
  reduction: 'mean' | 'sum';
  target: StoredTensor;
  value: number;
  gradient: number[];
  hessianV: number[];
  gaussNewtonV: number[];
  empiricalFisherV: number[];
}

export interface ModelCase {
  name: string;
  layers: LayerList;
  parameters: [string, number[]][];
  params: number[];
  x: StoredTensor;
  v: number[];
  y: StoredTensor;
  u: number[];
  jv: number[];
  jtu: number[];
  jtjv: number[];
  jjtu: number[];
  losses: LossCase[];
}

/** An empirical Fisher matrix in each form (written by scripts/reference/fisher.py). */
export interface FisherCase {
  name: string;
  layers: LayerList;
  params: number[];
  x: StoredTensor;
  loss: LossCase['loss'];
  target: StoredTensor;
  weights: number[];
  matrices: {
    per: 'datum' | 'row';
    weighted: boolean;
    center: boolean;
    reduction: 'mean' | 'sum';
    matrix: number[];
  }[];
}

/** Products of one reduction (`sum`: with the case's weights of the rows); Fisher matrices are of rows. */
export interface LossProducts {
  value: number;
  gradient: number[];
  hessian: number[];
  gaussNewton: number[];
  empiricalFisher: number[];
  fisher?: number[];
}

/** A loss with options, or a program of test/fixtures/losses (written by scripts/reference/losses.py). */
export interface OptionsCase {
  layers: LayerList;
  params: number[];
  x: StoredTensor;
  v: number[];
  loss: { name: string; [option: string]: unknown };
  target: StoredTensor | null;
  weights: number[];
  mean: LossProducts;
  weightedSum: LossProducts;
}

export interface InitCase {
  name: string;
  layers: LayerList;
  seed: number;
  dtype: 'float32' | 'float64';
  length: number;
  every: number;
  values: number[];
}

function read<T>(name: string): T[] {
  return JSON.parse(readFileSync(new URL(`../fixtures/${name}`, import.meta.url), 'utf8')).cases;
}

export const MODEL_CASES = read<ModelCase>('products.json');
export const FISHER_CASES = read<FisherCase>('fisher.json');
export const LOSS_CASES = read<OptionsCase>('losses.json');
export const INIT_CASES = read<InitCase>('init.json');

type Layer = Parameters<typeof Model.sequential>[0][number];

export function layersOf(list: LayerList): Layer[] {
  return list.map(([name, ...args]) => {
    const make = nn[name as keyof typeof nn] as (...args: unknown[]) => Layer;
    return name === 'residual' ? make(layersOf(args[0] as LayerList)) : make(...args);
  });
}

export function modelOf({ layers }: { layers: LayerList }): Model {
  return Model.sequential(layersOf(layers));
}

export function tensorOf({ shape, data, integer, truth }: StoredTensor): Tensor {
  if (truth) return { shape, data: Uint8Array.from(data) };
  return { shape, data: integer ? Int32Array.from(data) : Float64Array.from(data) };
}

/** The case's problem in float64. */
export function problemOf(each: ModelCase): Problem & { x: Tensor } {
  return { model: modelOf(each), params: Float64Array.from(each.params), x: tensorOf(each.x) };
}

/** ‖a − b‖ / ‖b‖; NaN where either holds one. */
export function relativeError(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.NaN;
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / size);
}

export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** A repeatable vector with elements in [−1, 1), of no use as random numbers beyond that. */
export function vector(length: number, salt = 1): Float64Array {
  return Float64Array.from(
    { length },
    (_, i) => (Math.sin((i + 1) * 12.9898 + salt * 78.233) * 43758.5453) % 1,
  );
}

export const toFloat32 = (values: FloatArray | readonly number[]): Float32Array => Float32Array.from(values);
