/** Matrices of which only products are known. */

import { inspect } from 'node:util';
import { addon } from '../addon/addon.ts';
import { NativeObject } from '../addon/native-object.ts';
import { operation, type Together } from '../addon/operation.ts';
import type { OperatorHandle } from '../addon/requests.ts';
import {
  type ArrayKind,
  type DType,
  describe,
  type FloatArray,
  floatArray,
  type IntegerArray,
  isFloatArray,
  type ParameterVector,
  type ResultArray,
  type Tensor,
  tensor,
} from '../arrays.ts';
import {
  type ApplyOptions,
  checkApplyOptions,
  checkDevice,
  checkFinite,
  checkFloats,
  checkOutputVector,
  checkVector,
  checkWholeOptions,
  isFiniteIn,
  type OutOption,
  positive,
  type WholeOptions,
} from '../check.ts';
import { outOfRange, TorchCurvatureError, wrongType } from '../errors.ts';
import { guard } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import type { Model } from '../model/model.ts';
import { noOptions, OptionNames, record } from '../options.ts';
import type { OperatorKind } from './kinds.ts';
import {
  everything,
  isPatterns,
  type NamedRange,
  type Ranges,
  type ReadSelection,
  rangesOf,
  readSelection,
  within,
} from './selection.ts';

/** A vector as operators take them: flat, over parameters also by name, over outputs also as a tensor. */
export type OperatorVector<F extends FloatArray = FloatArray> = ParameterVector<F> | Tensor<F | IntegerArray>;

/** Rows or columns of a submatrix: patterns of parameter names, or numbers of rows or columns from 0. */
export type Selection = readonly string[] | readonly number[] | Int32Array | BigInt64Array;

/** What the rows or columns of an operator stand for; `part` is some of the elements of parameters. */
export type Space =
  | { kind: 'parameters'; model: Model }
  | { kind: 'part'; parameters: readonly NamedRange[] }
  | { kind: 'outputs'; shape: readonly number[] }
  | { kind: 'plain' };

/**
 * A matrix A of [rows, columns], of which only products are known; `F` is the kind of array of vectors and results.
 * Operators are immutable; those made of others (`add`, `scale`, …) stay valid when these are disposed.
 */
export class LinearOperator<F extends FloatArray = FloatArray> extends NativeObject<OperatorHandle> {
  /** What it is. */
  readonly kind: OperatorKind;
  /** [rows, columns] */
  readonly shape: readonly [number, number];
  /** Of vectors and results. */
  readonly dtype: DType;
  /** Where it computes. */
  readonly device: string;
  /** Whether A = Aᵀ by construction. */
  readonly symmetric: boolean;
  /** Bytes kept for products, besides those of the operators that it is made of. */
  readonly bytes: number;
  /** Which engine runs its products, for an operator of a model; undefined for others. */
  readonly engine: 'fused' | 'autograd' | undefined;

  /** @internal The processes that take part in its products. */
  readonly together: Together | undefined;

  readonly #rows: Space;
  readonly #columns: Space;
  #transpose: LinearOperator<F> | undefined;

  static {
    guard(LinearOperator, LinearOperator.is);
  }

  /** @internal Whether it is one, and no Proxy or heir of one. */
  static is(value: unknown): value is LinearOperator {
    return typeof value === 'object' && value !== null && #rows in value;
  }

  /** @internal */
  constructor(
    handle: OperatorHandle,
    kind: OperatorKind,
    rows: Space,
    columns: Space,
    together?: Together | undefined,
  ) {
    super(handle, 'the operator', 'gramian, customOperator or another factory', (each) =>
      addon().operatorDispose(each),
    );
    const info = addon().operatorInfo(handle);
    this.kind = kind;
    this.shape = Object.freeze([info.rows, info.cols] as const);
    this.dtype = info.float64 ? 'float64' : 'float32';
    this.device = info.device;
    this.symmetric = info.symmetric;
    this.bytes = info.bytes;
    this.engine = info.engine;
    this.#rows = rows;
    this.#columns = columns;
    this.together = together;
  }

  /** A v, flat. */
  async matvec<Out extends FloatArray = ResultArray<F>>(
    v: OperatorVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Out> {
    return LinearOperator.#product.promised(this, v, false, options) as Promise<Out>;
  }
  /** `matvec` on the calling thread. */
  matvecSync<Out extends FloatArray = ResultArray<F>>(
    v: OperatorVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Out {
    return LinearOperator.#product.sync(this, v, false, options) as Out;
  }

  /** Aᵀu, flat. */
  async rmatvec<Out extends FloatArray = ResultArray<F>>(
    u: OperatorVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Out> {
    return LinearOperator.#product.promised(this, u, true, options) as Promise<Out>;
  }
  /** `rmatvec` on the calling thread. */
  rmatvecSync<Out extends FloatArray = ResultArray<F>>(
    u: OperatorVector<F>,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Out {
    return LinearOperator.#product.sync(this, u, true, options) as Out;
  }

  /** A applied to each of k vectors: `vectors` is row-major [k, columns], the result [k, rows]. */
  async matmat<Out extends FloatArray = ResultArray<F>>(
    vectors: F,
    k: number,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Out> {
    return LinearOperator.#products.promised(this, vectors, k, false, options) as Promise<Out>;
  }
  /** `matmat` on the calling thread. */
  matmatSync<Out extends FloatArray = ResultArray<F>>(
    vectors: F,
    k: number,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Out {
    return LinearOperator.#products.sync(this, vectors, k, false, options) as Out;
  }

  /** Aᵀ applied to each of k vectors: `vectors` is row-major [k, rows], the result [k, columns]. */
  async rmatmat<Out extends FloatArray = ResultArray<F>>(
    vectors: F,
    k: number,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Promise<Out> {
    return LinearOperator.#products.promised(this, vectors, k, true, options) as Promise<Out>;
  }
  /** `rmatmat` on the calling thread. */
  rmatmatSync<Out extends FloatArray = ResultArray<F>>(
    vectors: F,
    k: number,
    options?: ApplyOptions<Out> & OutOption<F>,
  ): Out {
    return LinearOperator.#products.sync(this, vectors, k, true, options) as Out;
  }

  /**
   * The matrix itself, row-major.
   *
   * @throws TorchCurvatureError `ERR_OUT_OF_MEMORY` before it allocates what would not fit
   */
  async toDense(options?: WholeOptions): Promise<Tensor<ResultArray<F>>> {
    const data = await LinearOperator.#dense.promised(this, options);
    return { data: data as ResultArray<F>, shape: [...this.shape] };
  }
  /** `toDense` on the calling thread. */
  toDenseSync(options?: WholeOptions): Tensor<ResultArray<F>> {
    const data = LinearOperator.#dense.sync(this, options);
    return { data: data as ResultArray<F>, shape: [...this.shape] };
  }

  /**
   * The exact diagonal of a square matrix. Of `gramian`, `gaussNewton`, `empiricalFisher` and `fisher` without centering it
   * takes about a backward pass for each outer product of a row: for each output, or each draw of a Fisher matrix. Of a matrix
   * that only its products tell of it takes as many as there are rows; `diagonal(op, …)` of the estimators takes fewer.
   */
  async diagonal(options?: WholeOptions): Promise<ResultArray<F>> {
    return LinearOperator.#diagonal.promised(this, options) as Promise<ResultArray<F>>;
  }
  /** `diagonal` on the calling thread. */
  diagonalSync(options?: WholeOptions): ResultArray<F> {
    return LinearOperator.#diagonal.sync(this, options) as ResultArray<F>;
  }

  /** A + B */
  add(other: LinearOperator<F>): LinearOperator<F> {
    checkOperator(other, 'other');
    return this.#combined('sum', () => addon().operatorSum([this.handle, other.handle]), other);
  }

  /** c A */
  scale(c: number): LinearOperator<F> {
    return this.#combined('scaled', () =>
      addon().operatorScale(this.handle, checkFinite(c, 'c', this.dtype)),
    );
  }

  /** A + λ I for a square A. */
  damp(lambda: number): LinearOperator<F> {
    return this.#combined('damped', () =>
      addon().operatorShift(this.handle, checkFinite(lambda, 'lambda', this.dtype)),
    );
  }

  /** A + λ diag(A) for a square A: damping relative to the scale of each parameter. Computes the diagonal. */
  async dampRelative(lambda: number): Promise<LinearOperator<F>>;
  async dampRelative(lambda: number, ...rest: readonly unknown[]): Promise<LinearOperator<F>> {
    noOptions(rest, 'dampRelative');
    checkFinite(lambda, 'lambda');
    const scaled: FloatArray = (await this.diagonal()).map((each) => lambda * each);
    using shift = diagonalOperator(scaled, { device: this.device });
    return this.add(shift as LinearOperator<F>);
  }

  /** A B, or c A for a number c. */
  multiply(other: LinearOperator<F> | number): LinearOperator<F> {
    if (typeof other === 'number') return this.scale(other);
    checkOperator(other, 'other');
    const together = this.#with(other);
    const handle = addon().operatorProduct(this.handle, other.handle);
    return new LinearOperator(handle, 'product', this.#rows, other.#columns, together);
  }

  /** A / c */
  divide(c: number): LinearOperator<F> {
    const inverse = 1 / checkFinite(c, 'c');
    if (isFiniteIn(this.dtype, inverse)) return this.scale(inverse);
    throw outOfRange(
      c === 0 ? 'c should not be 0' : `c should not be so small that 1 / c is infinite, got ${c}`,
    );
  }

  /**
   * Aᵀ, an operator of its own: to dispose one leaves the other. `op.T.T` is `op`. Of an operator that is not symmetric it
   * needs `rmatmat`.
   */
  get T(): LinearOperator<F> {
    const { handle: own } = this;
    if (this.#transpose === undefined || this.#transpose.disposed) {
      const handle = addon().operatorTranspose(own);
      const transpose = new LinearOperator<F>(handle, 'transpose', this.#columns, this.#rows, this.together);
      transpose.#transpose = this;
      this.#transpose = transpose;
    }
    return this.#transpose;
  }

  /**
   * Some rows and columns. By patterns, in which `*` stands for any letters (`['0.*', '*.bias']`), those of the parameters
   * whose names match, in the order of the model; of an operator between parameters and outputs, only the side of the
   * parameters is cut. By numbers from 0, those rows and columns, in the order given, of a square operator. With two
   * selections, the first is of rows and the second of columns.
   *
   * @throws RangeError for a pattern that no name matches, or a number that is no row or column
   */
  submatrix(selection: Selection, columns?: Selection): LinearOperator<F>;
  submatrix(selection: Selection, columns?: Selection, ...rest: readonly unknown[]): LinearOperator<F> {
    noOptions(
      [columns, ...rest].filter((each) => each !== undefined),
      'submatrix',
    );
    const [height, width] = this.shape;
    const [first, second] = [
      readSelection(selection),
      columns === undefined ? undefined : readSelection(columns),
    ];
    const alone = second === undefined;
    const both = alone && !isPatterns(first);
    if (both && height !== width) {
      throw outOfRange('numbers of rows and of columns should be two lists where the operator is not square');
    }
    if (alone && !both && !hasNames(this.#rows) && !hasNames(this.#columns)) {
      throw outOfRange('submatrix by patterns is for operators over the parameters of a model');
    }
    const whole = (space: Space) => alone && !both && !hasNames(space);
    const ofRows = whole(this.#rows) ? everything(height) : selected(first, this.#rows, height, 'rows');
    const ofColumns = whole(this.#columns)
      ? everything(width)
      : selected(second ?? first, this.#columns, width, 'columns');
    const handle = addon().operatorSubmatrix(this.handle, ofRows, ofColumns);
    const cut = (space: Space, ranges: Ranges): Space => (whole(space) ? space : partOf(space, ranges));
    const spaces = [cut(this.#rows, ofRows), cut(this.#columns, ofColumns)] as const;
    return new LinearOperator(handle, 'submatrix', ...spaces, this.together);
  }

  /** @internal What the rows stand for. */
  get space(): Space {
    return this.#rows;
  }

  /** @internal What the columns stand for. */
  get columnSpace(): Space {
    return this.#columns;
  }

  /** @internal The inverse that the addon made of it. */
  inverseBy(handle: OperatorHandle): LinearOperator<F> {
    return new LinearOperator(handle, 'inverse', this.#columns, this.#rows, this.together);
  }

  /** @internal A vector over the rows (what a right-hand side is), checked and flat. */
  rowVector(value: OperatorVector, name: string): FloatArray {
    return this.#flat(value, name, this.#rows, this.shape[0]);
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'LinearOperator';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { kind, shape, dtype, device, engine, symmetric, bytes, disposed } = this;
    const fields = { kind, shape, dtype, device, engine, symmetric, bytes, disposed };
    return inspected(this[Symbol.toStringTag], fields, how);
  }

  #flat(value: OperatorVector, name: string, space: Space, length: number): FloatArray {
    if (isFloatArray(value)) return checkVector(value, name, length, this.dtype, 'the operator is');
    if (space.kind === 'parameters') return space.model.toFlat(value as ParameterVector, name, this.dtype);
    if (space.kind === 'outputs') return checkOutputVector(value, name, space.shape, this.dtype);
    return checkVector(value, name, length, this.dtype, 'the operator is');
  }

  #asked<Given extends { signal: AbortSignal | undefined; threads: number }>({ signal, ...rest }: Given) {
    return {
      request: { operator: this.handle, ...rest },
      signal,
      together: this.together,
      describe: () => describeOperator(this),
      result: (found: FloatArray) => found,
    };
  }

  #combined(
    kind: OperatorKind,
    make: () => OperatorHandle,
    other: LinearOperator<F> = this,
  ): LinearOperator<F> {
    const together = this.#with(other);
    return new LinearOperator(make(), kind, this.#rows, this.#columns, together);
  }

  #with({ together }: LinearOperator<F>): Together | undefined {
    if (this.together !== undefined && together !== undefined && this.together !== together)
      throw outOfRange('operators that are combined should be distributed over one process group');
    return this.together ?? together;
  }

  static readonly #product = operation(
    (op: LinearOperator, value: OperatorVector, transposed: boolean, options: ApplyOptions | undefined) => {
      const [rows, columns] = op.shape;
      const v = transposed
        ? op.#flat(value, 'u', op.#rows, rows)
        : op.#flat(value, 'v', op.#columns, columns);
      const given = checkApplyOptions(options, transposed ? columns : rows, op.dtype);
      return { name: 'operatorApply', ...op.#asked({ transposed, v, ...given }) };
    },
    togetherOf,
  );

  static readonly #products = operation(
    (
      op: LinearOperator,
      vectors: FloatArray,
      k: number,
      transposed: boolean,
      options: ApplyOptions | undefined,
    ) => {
      if (k !== 0) positive(k, 'k');
      const [rows, columns] = op.shape;
      const [from, to] = transposed ? [rows, columns] : [columns, rows];
      const v = checkVector(vectors, 'vectors', k * from, op.dtype, 'the operator is');
      const given = checkApplyOptions(options, k * to, op.dtype);
      return { name: 'operatorApply', ...op.#asked({ transposed, v, count: k, ...given }) };
    },
    togetherOf,
  );

  static readonly #dense = operation(
    (op: LinearOperator, options: WholeOptions | undefined) => ({
      name: 'operatorDense',
      ...op.#asked(checkWholeOptions(options)),
    }),
    togetherOf,
  );

  static readonly #diagonal = operation(
    (op: LinearOperator, options: WholeOptions | undefined) => ({
      name: 'operatorDiagonal',
      ...op.#asked(checkWholeOptions(options)),
    }),
    togetherOf,
  );
}

/** The parameters that rows or columns stand for. */
/** Used inside the package: what diagnostics say of an operator that something is asked of. */
export function describeOperator({ kind, device, dtype, shape }: LinearOperator) {
  return { of: kind, device, dtype, shape };
}

function namesOf(space: Space): readonly NamedRange[] | undefined {
  if (space.kind === 'parameters') return space.model.parameters;
  return space.kind === 'part' ? space.parameters : undefined;
}

function hasNames(space: Space): boolean {
  return namesOf(space) !== undefined;
}

function selected(selection: ReadSelection, space: Space, length: number, name: string): Ranges {
  return rangesOf(selection, namesOf(space), length, name);
}

/** What the selected rows or columns stand for. */
function partOf(space: Space, ranges: Ranges): Space {
  const names = namesOf(space);
  return names === undefined ? { kind: 'plain' } : { kind: 'part', parameters: within(names, ranges) };
}

/** Of `denseOperator`. */
export interface DenseOperatorOptions {
  /** The caller's word that A = Aᵀ. */
  symmetric?: boolean;
  /** `'cpu'` by default. */
  device?: string;
}
const DENSE_OPERATOR_OPTIONS = new OptionNames<DenseOperatorOptions>({ symmetric: true, device: true });

/** Of `diagonalOperator`. */
export interface DiagonalOperatorOptions {
  /** `'cpu'` by default. */
  device?: string;
}
const DIAGONAL_OPERATOR_OPTIONS = new OptionNames<DiagonalOperatorOptions>({ device: true });

/** A matrix that exists, as an operator; `symmetric` is the caller's word. The data are copied. */
export function denseOperator<F extends FloatArray>(
  matrix: Tensor<F>,
  options?: DenseOperatorOptions,
): LinearOperator<ArrayKind<F>> {
  const { symmetric = false, device } = DENSE_OPERATOR_OPTIONS.read(options);
  if (typeof symmetric !== 'boolean') {
    throw wrongType(`symmetric should be true or false, got ${describe(symmetric)}`);
  }
  const { data, shape } = record(matrix, 'matrix') as Tensor;
  const checked = tensor(checkFloats(data, 'matrix.data'), shape);
  if (checked.shape.length !== 2)
    throw outOfRange(`matrix should have two axes, got ${checked.shape.length}`);
  const [rows, columns] = checked.shape;
  if (symmetric && rows !== columns)
    throw outOfRange(`a symmetric operator is square, got [${rows}, ${columns}]`);
  const handle = addon().denseOperator(checked, symmetric, checkDevice(device));
  return new LinearOperator(handle, 'dense', { kind: 'plain' }, { kind: 'plain' });
}

/** diag(d), for example as a preconditioner. The data are copied. */
export function diagonalOperator<F extends FloatArray>(
  diagonal: F,
  options?: DiagonalOperatorOptions,
): LinearOperator<ArrayKind<F>> {
  const { device } = DIAGONAL_OPERATOR_OPTIONS.read(options);
  const checked = checkFloats(diagonal, 'diagonal');
  const handle = addon().diagonalOperator(checked, checkDevice(device));
  return new LinearOperator(handle, 'diagonal', { kind: 'plain' }, { kind: 'plain' });
}

/**
 * Whether two products with the same vector give the same bits: a model that is random, or whose state changes, has no
 * curvature matrix.
 */
export async function checkDeterministic(op: LinearOperator): Promise<boolean>;
export async function checkDeterministic(op: LinearOperator, ...rest: readonly unknown[]): Promise<boolean> {
  noOptions(rest, 'checkDeterministic');
  checkOperator(op, 'op');
  const length = op.shape[1];
  const v = floatArray(op.dtype, length);
  v.forEach((_, i) => {
    v[i] = Math.sin(i + 1);
  });
  const [first, second] = [await op.matvec(v), await op.matvec(v)];
  return Buffer.from(first.buffer).equals(Buffer.from(second.buffer));
}

/** Used inside the package: the processes that take part in the products of what may be an operator. */
export function togetherOf(op: unknown): Together | undefined {
  return LinearOperator.is(op) ? op.together : undefined;
}

export function checkOperator(value: unknown, name: string): asserts value is LinearOperator {
  if (!LinearOperator.is(value))
    throw wrongType(`${name} should be a LinearOperator, got ${describe(value)}`);
}

/** Throws unless the operator is square; `purpose` completes the sentence "… needs a square operator". */
export function checkSquare(op: LinearOperator, purpose: string): void {
  checkOperator(op, 'op');
  const [rows, columns] = op.shape;
  if (rows === columns) return;
  throw new TorchCurvatureError(
    'ERR_SHAPE_MISMATCH',
    `${purpose} needs a square operator, got [${rows}, ${columns}]`,
  );
}
