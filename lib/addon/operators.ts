/** Types of the raw addon for linearizations, operators and solvers. */

import type {
  LinearizationHandle,
  OperatorHandle,
  ProgramHandle,
  RawRequest,
  TensorHandle,
} from './requests.ts';
import type { FloatArray, RawTensor, ResultArray, TypedArray } from './values.ts';

/** What of a problem is linearized, and how much of it is kept. */
export interface RawLinearizeRequest extends RawRequest {
  /** Bytes that may be kept between products; 0 or absent: half of what is free when it is made. */
  memoryBudget?: number | undefined;
  /** How many products are expected: some engines pay a longer set-up when many are to come. */
  products?: number | undefined;
}

/** A product with a linearization; `v` is [P], or of the output's elements for `vjp`. */
export interface RawLinearizationProduct {
  linearization: LinearizationHandle;
  product: 'jvp' | 'vjp' | 'matvec';
  v: FloatArray;
  threads: number;
  out?: FloatArray | undefined;
}

export interface RawLinearizationInfo {
  outputShape: number[];
  parameterCount: number;
  float64: boolean;
  device: string;
  engine: 'fused' | 'autograd';
  /** Bytes kept for later products. */
  bytes: number;
  chunks: number;
  /** Chunks that are kept; the others are linearized again in each product. */
  keptChunks: number;
}

/** A tensor is of the precision of the parameters. */
export type RawLossOption = number | boolean | RawTensor;

/** A program that is called with other tensors than a problem's inputs. */
export interface RawLossProgram {
  program: ProgramHandle;
  params: FloatArray;
  /** Of each input as exported, -1 for a size that is free; empty where nothing is known. */
  shapes: readonly (readonly number[])[];
}

/** The loss of a problem. */
export interface RawLoss {
  /** A row of the table of native/core/losses. */
  loss?: string | undefined;
  /** Its options, by the names in lib/problem/losses.ts; those that are absent take their defaults. */
  lossOptions?: Readonly<Record<string, RawLossOption>> | undefined;
  /** In place of `loss`: a program of (y, target) that gives each row's loss, and one that draws targets. */
  lossProgram?: RawLossProgram | undefined;
  sampler?: RawLossProgram | undefined;
  /** λ of the term ½ Σ λ θ², flat, one for each parameter. */
  l2?: FloatArray | undefined;
  reduction?: 'mean' | 'sum' | undefined;
  target?: RawTensor | undefined;
  /** One for each row, not negative; they multiply the rows' losses, and a mean still divides by their number. */
  weights?: FloatArray | undefined;
}

interface RawOperatorFields extends RawLoss {
  /** A row of the table of native/core/operators. */
  kind: string;
  /** Subtracts the weighted mean over the rows; not for `gaussNewton` and `hessian`. */
  center?: boolean | undefined;
  /** Of the Fisher matrices: what has an outer product of its own; default `'datum'`. */
  per?: 'datum' | 'row' | undefined;
  /** Of `ntk`: inputs of a second batch, and whether outputs are traced over. */
  x2?: readonly RawTensor[] | undefined;
  trace?: boolean | undefined;
  /** Of `fisher`: targets drawn for each datum (default 1), their seed (default 0), the number of the first row (0). */
  mcSamples?: number | undefined;
  seed?: bigint | undefined;
  firstRow?: number | undefined;
  /**
   * Of centered matrices over several batches: v ↦ Σ w of what is centered, [means, P], or (v, mean) ↦ the product with
   * that mean, [P, P + means]; absent for the whole matrix.
   */
  part?: 'sums' | 'around' | undefined;
  /** Of `kfac` and `ekfac`. */
  fisher?: 'type2' | 'mc' | 'empirical' | undefined;
  approximation?: 'expand' | 'reduce' | undefined;
  others?: 'refuse' | 'diagonal' | 'block' | undefined;
  /** Of batches of a stream: what a mean over all of them multiplies their terms by; 1 by default. */
  share?: number | undefined;
  /** Of `ekfac`: the `kfac` of all batches, in whose basis the eigenvalues are those of this one, for layers only. */
  basis?: OperatorHandle | undefined;
}
export interface RawOperatorRequest extends RawLinearizeRequest, RawOperatorFields {}
/** An operator that shares a linearization with others (`hessian` uses only its point). */
export interface RawSharedOperatorRequest extends RawOperatorFields {
  linearization: LinearizationHandle;
  chunkSize: number;
  threads: number;
}

export interface RawOperatorProduct {
  operator: OperatorHandle;
  /** One vector, or `count` vectors one after another. */
  v: FloatArray;
  count?: number | undefined;
  /** Applies the transpose. */
  transposed?: boolean | undefined;
  threads: number;
  out?: FloatArray | undefined;
}
export interface RawOperatorOnly {
  operator: OperatorHandle;
  threads: number;
}
export interface RawOperatorInfo {
  rows: number;
  cols: number;
  float64: boolean;
  device: string;
  symmetric: boolean;
  bytes: number;
  /** Where the operator is a model's. */
  engine?: 'fused' | 'autograd';
  /** Of the model's outputs, where the rows stand for them; empty elsewhere. */
  outputShape: number[];
}

/** Eigenvalues, ascending, and the orthogonal matrix whose columns are the eigenvectors. */
export interface RawEigh {
  eigenvalues: ResultArray<FloatArray>;
  eigenvectors: OperatorHandle;
}

export interface RawLossGradientRequest extends RawRequest, RawLoss {
  /** Receives the gradient when given. */
  out?: FloatArray | undefined;
}

/** What a solver or an estimator is asked with: its own options, those that are absent taking their defaults. */
export interface RawSolveRequest extends RawOperatorOnly {
  /** A row of the table of native/core/solvers. */
  solver: string;
  readonly [option: string]: RawSolverOption;
}
/**
 * Vectors are flat. A function is called after each iteration; what it throws rejects the promise. In the `…Sync` form it
 * runs between iterations, else it never blocks them.
 */
export type RawSolverOption =
  | number
  | bigint
  | string
  | boolean
  | FloatArray
  | OperatorHandle
  | ((rightHandSide: number, iteration: number, residualNorm: number) => unknown)
  | undefined;

/** Operations that exist as `name`, which returns a promise and may be stopped, and as `nameSync`. */
export interface OperatorOperations {
  /** Forward pass, kept. Copies what it keeps. */
  linearize: { request: RawLinearizeRequest; result: LinearizationHandle };
  linearizationApply: { request: RawLinearizationProduct; result: FloatArray };
  createOperator: { request: RawOperatorRequest | RawSharedOperatorRequest; result: OperatorHandle };
  operatorApply: { request: RawOperatorProduct; result: FloatArray };
  /** Row-major [rows, cols]. Throws `ERR_OUT_OF_MEMORY` before it allocates what would not fit. */
  operatorDense: { request: RawOperatorOnly; result: FloatArray };
  /** Rows [begin, end) of it. */
  operatorDenseRows: { request: RawOperatorOnly & { begin: number; end: number }; result: FloatArray };
  operatorDiagonal: { request: RawOperatorOnly; result: FloatArray };
  /** The loss and its gradient over all rows. */
  lossGradient: {
    request: RawLossGradientRequest;
    result: { loss: number; gradient: ResultArray<FloatArray>; divisor: number };
  };
  /**
   * What a mean over all rows divides by, and Σ of the weights of the data that have terms. With a `kind`, throws where
   * the loss has no such operator.
   */
  lossCounts: {
    request: RawLossGradientRequest & { kind?: string };
    result: { divisor: number; weight: number };
  };
  /** A Kronecker-factored operator's inverse, damped by λ = `damping`. Throws `ERR_INVALID_ARGUMENT` where that is singular. */
  kroneckerInverse: {
    request: RawOperatorOnly & { damping: number; method: 'exact' | 'heuristic' | 'pi' };
    result: OperatorHandle;
  };
  /** log det(K + λI) */
  kroneckerLogdet: { request: RawOperatorOnly & { damping: number }; result: number };
  kroneckerTrace: { request: RawOperatorOnly; result: number };
  kroneckerFrobeniusNorm: { request: RawOperatorOnly; result: number };
  kroneckerEigh: { request: RawOperatorOnly; result: RawEigh };
  /** Of the rows of two of them together. */
  kroneckerJoin: { request: RawOperatorOnly & { other: OperatorHandle }; result: OperatorHandle };
  /** In the eigenbasis of one, its blocks that are of no layer; zeros for the others. */
  kroneckerBasis: { request: RawOperatorOnly; result: OperatorHandle };
  /** Copies a tensor to where it is to stay. */
  holdTensor: { request: { tensor: RawTensor; device: string; threads: number }; result: TensorHandle };
  /** What each row adds to the loss, [N]. */
  rowLosses: { request: RawRequest & RawLoss; result: FloatArray };
  /** Any solver or estimator; what it found is a record that its own module describes. */
  solve: { request: RawSolveRequest; result: object };
}

/** Half-open ranges of indices. */
export type RawRanges = readonly (readonly [begin: number, end: number])[];

/** What an operator says of its data, for sums with operators of other processes' data. */
export interface RawDataShare {
  /** What its products were divided by, where it is of the mean of a loss. */
  divisor?: number | undefined;
  /** The numbers of the rows whose targets it drew. */
  firstRow?: number | undefined;
  drawnRows?: number | undefined;
}

export interface RawCallbackOperator extends RawDataShare {
  rows: number;
  cols: number;
  float64: boolean;
  device: string;
  /** The caller's word; `transposed` is then never asked for. */
  symmetric: boolean;
  /** Whether the operator of the data of several processes is the sum of theirs. */
  additive: boolean;
  /** The products with `count` vectors, one after another. What it throws or rejects with rejects the operation. */
  product: (
    vectors: ResultArray<FloatArray>,
    count: number,
    transposed: boolean,
    id: number,
  ) => FloatArray | Promise<FloatArray>;
  /** The product called with `id` is no longer waited for. */
  stop: (id: number) => void;
}

/** Functions that return at once. Combinations hold on to what they are made of; a disposed handle throws `ERR_DISPOSED`. */
export interface OperatorFunctions {
  tensorData(tensor: TensorHandle): TypedArray;
  tensorDispose(tensor: TensorHandle): void;

  linearizationInfo(linearization: LinearizationHandle): RawLinearizationInfo;
  linearizationOutput(linearization: LinearizationHandle): RawTensor;
  linearizationDispose(linearization: LinearizationHandle): void;

  operatorInfo(operator: OperatorHandle): RawOperatorInfo;
  operatorDispose(operator: OperatorHandle): void;
  operatorSum(operators: readonly OperatorHandle[]): OperatorHandle;
  operatorScale(operator: OperatorHandle, factor: number): OperatorHandle;
  /** A + λ I */
  operatorShift(operator: OperatorHandle, lambda: number): OperatorHandle;
  /** Aᵀ */
  operatorTranspose(operator: OperatorHandle): OperatorHandle;
  operatorProduct(a: OperatorHandle, b: OperatorHandle): OperatorHandle;
  /** A⁻¹ by a row of native/core/solvers' inverses, `inverse`, with the options of that. */
  operatorInverse(request: {
    inverse: string;
    operator: OperatorHandle;
    readonly [option: string]: RawSolverOption;
  }): OperatorHandle;
  operatorSubmatrix(operator: OperatorHandle, rows: RawRanges, cols: RawRanges): OperatorHandle;
  /** `symmetric` is the caller's word. */
  denseOperator(matrix: RawTensor, symmetric: boolean, device: string): OperatorHandle;
  diagonalOperator(diagonal: FloatArray, device: string): OperatorHandle;
  /**
   * An operator whose products JavaScript computes. Works in asynchronous operations only: their thread waits while
   * JavaScript's runs `product`, which may itself await other operations.
   */
  callbackOperator(custom: RawCallbackOperator): OperatorHandle;
  /** A + diag(λ), a term that is no data's. */
  operatorRegularized(operator: OperatorHandle, l2: FloatArray): OperatorHandle;
  /** `scale` times (v, `sums` v / `weight`) ↦ `around` (v, mean). */
  operatorCentered(
    parts: RawDataShare & {
      sums: OperatorHandle;
      around: OperatorHandle;
      weight: number;
      scale: number;
      antisymmetric: boolean;
    },
  ): OperatorHandle;
}
