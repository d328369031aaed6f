import { addon } from '../addon/addon.ts';
import type { RawDataShare } from '../addon/operators.ts';
import {
  type DType,
  describe,
  describeShape,
  elementCount,
  type FloatArray,
  type ResultArray,
  sizesOf,
} from '../arrays.ts';
import { checkDevice, checkDType } from '../check.ts';
import { carrying, outOfRange, wrongType } from '../errors.ts';
import { isPlain, Names, noOptions, record } from '../options.ts';
import type { OperatorKind } from './kinds.ts';
import { LinearOperator, type Space } from './linear-operator.ts';

/** What a product of a custom operator is told besides its vectors. */
export interface ProductContext {
  /** Aborted when the product is no longer wanted. */
  signal: AbortSignal;
}

/** Products that JavaScript computes. */
export interface CustomOperator<F extends FloatArray = FloatArray> {
  /** [rows, columns], either of which may be 0 */
  shape: readonly [number, number];
  /** `'float32'` by default. */
  dtype?: DType;
  /** Where solvers keep their vectors; `'cpu'` by default. */
  device?: string;
  /** The caller's word that A = Aᵀ; `rmatmat` is then not needed. */
  symmetric?: boolean;
  /** A applied to each of k vectors: `vectors` is row-major [k, columns], the result [k, rows]. */
  matmat(vectors: ResultArray<F>, k: number, context: ProductContext): F | Promise<F>;
  /** Aᵀ applied to each of k vectors: `vectors` is row-major [k, rows], the result [k, columns]. */
  rmatmat?(vectors: ResultArray<F>, k: number, context: ProductContext): F | Promise<F>;
}

const CUSTOM = new Names<CustomOperator>('the operator', {
  shape: true,
  dtype: true,
  device: true,
  symmetric: true,
  matmat: true,
  rmatmat: true,
});

/**
 * An operator of any origin, for the solvers and to combine with others. It works in asynchronous calls only; what its
 * functions throw or reject with rejects those.
 */
export function customOperator(
  custom: CustomOperator<Float64Array> & { dtype: 'float64' },
): LinearOperator<Float64Array>;
export function customOperator(
  custom: CustomOperator<Float32Array> & { dtype?: 'float32' },
): LinearOperator<Float32Array>;
export function customOperator(custom: CustomOperator): LinearOperator;
export function customOperator(custom: CustomOperator, ...rest: readonly unknown[]): LinearOperator {
  noOptions(rest, 'customOperator');
  // An instance of a class has a state of its own beside what is asked for here.
  if (isPlain(record(custom, 'the operator'))) CUSTOM.read(custom);
  return makeCustom('custom', custom, { kind: 'plain' }, { kind: 'plain' }, { additive: true });
}

/** Used inside the package: a custom operator whose rows and columns stand for something, and what is known of its data. */
export function makeCustom(
  kind: OperatorKind,
  custom: CustomOperator,
  rows: Space,
  columns: Space,
  share: RawDataShare & { additive: boolean },
): LinearOperator {
  const {
    shape,
    dtype,
    device,
    symmetric = false,
    matmat,
    rmatmat,
  } = record(custom, 'the operator') as CustomOperator;
  const sizes = sizesOf(shape, 'shape');
  if (sizes.length !== 2) throw wrongType(`shape should be [rows, columns], got ${describeShape(sizes)}`);
  elementCount(sizes, 'shape');
  const [height, width] = sizes as [number, number];
  if (symmetric && height !== width)
    throw outOfRange(`a symmetric operator is square, got [${height}, ${width}]`);
  if (typeof matmat !== 'function') throw wrongType(`matmat should be a function, got ${describe(matmat)}`);
  const running = new Map<number, AbortController>();
  const description = {
    rows: height,
    cols: width,
    float64: checkDType(dtype) === 'float64',
    device: checkDevice(device),
    symmetric: Boolean(symmetric),
    ...share,
    async product(vectors: ResultArray<FloatArray>, count: number, transposed: boolean, id: number) {
      const controller = new AbortController();
      running.set(id, controller);
      try {
        return await carrying(() => {
          const context = { signal: controller.signal };
          if (!transposed) return matmat.call(custom, vectors, count, context);
          if (rmatmat === undefined) throw wrongType('the operator has no rmatmat, and is not symmetric');
          return rmatmat.call(custom, vectors, count, context);
        });
      } finally {
        running.delete(id);
      }
    },
    stop: (id: number) => running.get(id)?.abort(),
  };
  const handle = addon().callbackOperator(description);
  return new LinearOperator(handle, kind, rows, columns);
}
