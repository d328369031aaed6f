/** Operators over batches that never sit in memory at once: each product goes through them one by one. */
import { addon } from '../addon/addon.ts';
import type { RawDataShare } from '../addon/operators.ts';
import { allocated, copyOf, type DType, dtypeOf, type FloatArray, floatArray, numel } from '../arrays.ts';
import { checkFloats, checkOptions, checkVector } from '../check.ts';
import { outOfRange, TorchCurvatureError } from '../errors.ts';
import { lengthOf } from '../foreign.ts';
import type { Model } from '../model/model.ts';
import { batchesOf } from '../problem/batches.ts';
import { readStreamed } from '../problem/check.ts';
import { l2Vector } from '../problem/l2.ts';
import type { CenterOptions, GivenLossProblem } from '../problem/loss.ts';
import { parts } from '../problem/part.ts';
import type { GivenStreamedProblem } from '../problem/streamed-problem.ts';
import type { LinearizeOptions } from '../products/linearize.ts';
import { makeCustom, type ProductContext } from './custom.ts';
import type { OperatorKind } from './kinds.ts';
import { LinearOperator } from './linear-operator.ts';

/** How an operator of one batch is made: without what is of all rows together; with the signal of the pass. */
export type BatchOptions = LinearizeOptions & { weights?: FloatArray };

/** One batch as a problem of its own, whose loss is a sum: sums over batches add up to that over all rows. */
export interface BatchProblem {
  problem: GivenLossProblem;
  options: BatchOptions;
  /** The number of its first row among all rows. */
  firstRow: number;
  rows: number;
}

/** What the mean of a batch's loss divides by, and the sum of the weights of its data. */
export interface Counts {
  divisor: number;
  weight: number;
}

/** What tells one sum over batches from another. */
export interface SumTraits {
  /** Whether the L2 term of the problem adds to it. */
  regularized: boolean;
  /** Whether A = −Aᵀ. */
  antisymmetric: boolean;
  /** The number of the first row, where targets are drawn by the numbers of the rows. */
  draws: number | undefined;
}

/** The rows of all batches, as one. */
export class Stream {
  readonly model: Model;
  readonly dtype: DType;
  readonly device: string;
  /** N, the number of rows. */
  rows = 0;
  /** Shape of the outputs of a row. */
  outputs: readonly number[] = [];
  /** What a mean of the loss over all rows divides by. */
  divisor = 0;
  /** Σ of the weights of all rows, or of their data. */
  weight = 0;
  /** Of each row, where there are any. */
  weights: Float64Array | undefined;

  readonly #problem: GivenStreamedProblem;
  /** A copy, flat. */
  readonly params: FloatArray;
  readonly #how: Omit<LinearizeOptions, 'signal'>;
  readonly #signal: AbortSignal | undefined;
  readonly #given: FloatArray | undefined;
  #counted = false;
  /** Whether what is made of it is of the loss, which a problem for `gramian` may have as well. */
  #ofLoss = false;

  /** The parameters are copied as those of any operator are. */
  constructor(problem: GivenStreamedProblem, options: LinearizeOptions & CenterOptions) {
    const { model, params, batches, loss, reduction, l2 } = readStreamed(problem);
    const { device, signal } = checkOptions(options);
    const { chunkSize, memoryBudget, products, threads, engine, weights } = options;
    this.params = copyOf(model.toFlat(params, 'params'));
    this.dtype = dtypeOf(this.params);
    this.#problem = {
      model,
      params: this.params,
      batches,
      ...(loss && { loss }),
      ...(reduction && { reduction }),
      ...(l2 !== undefined && { l2 }),
    };
    this.#how = defined({ device, chunkSize, memoryBudget, products, threads, engine });
    this.#given =
      weights &&
      copyOf(checkVector(weights, 'weights', lengthOf(checkFloats(weights, 'weights')), this.dtype));
    this.#signal = signal;
    this.model = model;
    this.device = device;
  }

  /** What a mean over the terms multiplies their sum by. Its derivatives are zero where there are none, as PyTorch's. */
  get share(): number {
    if (!this.#ofLoss || this.reduction === 'sum') return 1;
    return this.divisor > 0 ? 1 / this.divisor : 0;
  }

  /** The same for the terms themselves: the mean of none is NaN. */
  get shareOfTerms(): number {
    return this.share === 0 ? Number.NaN : this.share;
  }

  /** Of the loss over all rows. */
  get reduction(): 'mean' | 'sum' {
    return this.#problem.reduction === 'sum' ? 'sum' : 'mean';
  }

  /** λ of the problem's L2 term, which is no batch's, for each parameter; undefined without one. */
  get l2(): FloatArray | undefined {
    const { l2 } = this.#problem;
    return l2 === undefined ? undefined : l2Vector(l2, this.model, this.dtype);
  }

  get #threads() {
    const { threads } = this.#how;
    return threads === undefined ? {} : { threads };
  }

  /**
   * The pass that an operator begins with: finds out whether the batches can be gone through, and what they have in all.
   *
   * @param count of a batch that has rows; without it, weights are those of rows
   */
  async count(
    count?: (batch: BatchProblem, signal: AbortSignal | undefined) => Promise<Counts>,
  ): Promise<this> {
    const weights: number[] = [];
    this.#ofLoss = count !== undefined;
    let rows = 0;
    for await (const batch of this.pass(this.#signal)) {
      if (count === undefined && rows === 0) await this.#findOutputs(batch);
      rows += batch.rows;
      if (batch.rows === 0) continue;
      let ofRows = 0;
      for (const weight of batch.options.weights ?? []) {
        weights.push(weight);
        ofRows += weight;
      }
      const { divisor, weight } = (await count?.(batch, this.#signal)) ?? {
        divisor: 0,
        weight: batch.options.weights === undefined ? batch.rows : ofRows,
      };
      this.divisor += divisor;
      this.weight += weight;
    }
    this.rows = rows;
    this.weights = weights.length > 0 ? Float64Array.from(weights) : undefined;
    this.#counted = true;
    return this;
  }

  /** What the model makes of rows of the data, which only running it tells. */
  async #findOutputs({ problem: { params, x } }: BatchProblem): Promise<void> {
    const { device, threads } = this.#how;
    const { shape } = await this.model.forward(params, x, defined({ device, threads, signal: this.#signal }));
    this.outputs = shape.slice(1);
  }

  /** Goes through the batches once, until the signal is aborted. */
  async *pass(signal: AbortSignal | undefined): AsyncGenerator<BatchProblem> {
    const { batches, reduction: _, l2: __, ...rest } = this.#problem;
    const partOf = parts();
    let firstRow = 0;
    for await (const { x, target, weights } of batchesOf(batches, signal)) {
      const { batch: rows } = this.model.request(this.params, x, {
        device: this.device,
        chunkSize: 0,
        threads: 0,
        engine: 'auto',
      });
      const ofRows = this.#weightsOf(weights, firstRow, rows);
      yield {
        problem: partOf({ ...rest, x, target, reduction: 'sum' } as GivenLossProblem),
        options: { ...this.#how, ...defined({ signal }), ...(ofRows && { weights: ofRows }) },
        firstRow,
        rows,
      };
      firstRow += rows;
    }
    this.#checkRows(firstRow);
  }

  #weightsOf(own: FloatArray | undefined, firstRow: number, rows: number): FloatArray | undefined {
    if (own !== undefined && this.#given !== undefined) {
      throw outOfRange('weights should be those of all rows, as an option, or of each batch, not both');
    }
    const weights =
      own === undefined
        ? this.#given?.subarray(firstRow, firstRow + rows)
        : copyOf(checkVector(own, 'the weights of a batch', rows, this.dtype));
    if (weights !== undefined && weights.length < rows) this.#wrongWeights(`more than ${firstRow}`);
    if (weights?.some((each) => !(each >= 0 && each < Number.POSITIVE_INFINITY)))
      throw outOfRange('weights should be finite and not negative');
    return weights;
  }

  #checkRows(rows: number) {
    if (this.#given !== undefined && this.#given.length !== rows) this.#wrongWeights(String(rows));
    if (this.#counted && rows !== this.rows) {
      throw new TorchCurvatureError(
        'ERR_SHAPE_MISMATCH',
        `batches gave ${rows} rows in this pass and ${this.rows} when the operator was made: each pass should give the ` +
          'same ones (a function should return a new iterable each time, () => batches())',
      );
    }
  }

  #wrongWeights(rows: string): never {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `weights should have one element for each row, got ${this.#given!.length} for ${rows} rows`,
    );
  }

  /** What sums with the operators of other processes need to know. */
  #dataShare(): RawDataShare {
    return this.#ofLoss && this.reduction === 'mean' ? { divisor: this.divisor } : {};
  }

  /** Σ over the batches of the products of their operators, of `height` rows, with each of k vectors, times `factor`. */
  #summing(make: (batch: BatchProblem) => Promise<LinearOperator>, height: number, factor: number) {
    return async (vectors: FloatArray, k: number, { signal }: ProductContext) => {
      const sum = allocated(Float64Array, k * height);
      for await (const batch of this.pass(signal)) {
        if (batch.rows === 0) continue;
        using op = await make(batch);
        const part = await op.matmat(vectors, k, { ...this.#threads, signal });
        for (let i = 0; i < sum.length; i++) sum[i]! += part[i]!;
      }
      const result = floatArray(this.dtype, sum.length);
      for (let i = 0; i < sum.length; i++) result[i] = factor * sum[i]!;
      return result;
    };
  }

  /**
   * The sum of the operators of the batches, [P, P], by the share of their terms in a mean; with the L2 term if
   * `regularized`.
   */
  sum(
    kind: OperatorKind,
    make: (batch: BatchProblem) => Promise<LinearOperator>,
    { regularized, antisymmetric, draws }: SumTraits,
  ): LinearOperator {
    const { model, dtype, device } = this;
    const space = { kind: 'parameters', model } as const;
    const length = model.parameterCount;
    const custom = {
      shape: [length, length],
      dtype,
      device,
      symmetric: !antisymmetric,
      matmat: this.#summing(make, length, this.share),
      rmatmat: this.#summing(make, length, antisymmetric ? -this.share : this.share),
    } as const;
    const share = { ...this.#dataShare(), ...this.#drawn(draws), additive: true };
    const sum = makeCustom(kind, custom, space, space, share);
    const { l2 } = this;
    if (!regularized || l2 === undefined) return sum;
    using _ = sum;
    return new LinearOperator(addon().operatorRegularized(sum.handle, l2), kind, space, space);
  }

  /**
   * As `sum`, of operators that are centered by the mean over all rows or data: a pass for the mean, which is linear in the
   * vectors, and one for the product with it.
   *
   * @param make of a batch, v ↦ its part of the mean times `weight`, and (v, mean) ↦ its part of the product
   * @param means numbers that the mean has; that of rows has one for each of their outputs
   */
  centeredSum(
    kind: OperatorKind,
    make: (batch: BatchProblem, part: 'sums' | 'around') => Promise<LinearOperator>,
    { antisymmetric, draws }: SumTraits,
    means: number = this.#width,
  ): LinearOperator {
    const { model, dtype, device, weight, share: scale } = this;
    const space = { kind: 'parameters', model } as const;
    const length = model.parameterCount;
    const part = (name: 'sums' | 'around', shape: readonly [number, number]) => {
      const matmat = this.#summing((batch) => make(batch, name), shape[0], 1);
      return makeCustom(kind, { shape, dtype, device, matmat }, space, space, { additive: true });
    };
    using sums = part('sums', [means, length]);
    using around = part('around', [length, length + means]);
    const handle = addon().operatorCentered({
      sums: sums.handle,
      around: around.handle,
      weight,
      scale,
      antisymmetric,
      ...this.#dataShare(),
      ...this.#drawn(draws),
    });
    return new LinearOperator(handle, kind, space, space);
  }

  #drawn(firstRow: number | undefined): RawDataShare {
    return firstRow === undefined ? {} : { firstRow, drawnRows: this.rows };
  }

  /**
   * √W (I − 1wᵀ/Σw) J of all rows, [N·outputs, P], by the share of their terms in a mean. `make` gives √W J of a batch, or
   * what else has a row for each output or row of it.
   */
  jacobian(
    kind: OperatorKind,
    make: (batch: BatchProblem) => Promise<LinearOperator>,
    center: boolean,
  ): LinearOperator {
    const { model, dtype, device } = this;
    const { matmat, rmatmat } = this.#jacobian(make, center);
    return makeCustom(
      kind,
      { shape: [this.#height, model.parameterCount], dtype, device, matmat, rmatmat },
      { kind: 'outputs', shape: [this.rows, ...this.outputs] },
      { kind: 'parameters', model },
      { ...this.#dataShare(), additive: false },
    );
  }

  /** A Aᵀ with A what `jacobian` gives. */
  ntk(make: (batch: BatchProblem) => Promise<LinearOperator>, center: boolean): LinearOperator {
    const { dtype, device } = this;
    const { matmat, rmatmat } = this.#jacobian(make, center);
    const space = { kind: 'outputs', shape: [this.rows, ...this.outputs] } as const;
    return makeCustom(
      'ntk',
      {
        shape: [this.#height, this.#height],
        dtype,
        device,
        symmetric: true,
        matmat: async (vectors, k, context) => matmat(await rmatmat(vectors, k, context), k, context),
      },
      space,
      space,
      { additive: false },
    );
  }

  /** Outputs of a row. */
  get #width(): number {
    return numel(this.outputs);
  }

  get #height(): number {
    return this.rows * this.#width;
  }

  #jacobian(make: (batch: BatchProblem) => Promise<LinearOperator>, center: boolean) {
    const [width, height, length] = [this.#width, this.#height, this.model.parameterCount];
    const matmat = async (vectors: FloatArray, k: number, { signal }: ProductContext) => {
      const result = floatArray(this.dtype, k * height);
      for await (const batch of this.pass(signal)) {
        if (batch.rows === 0) continue;
        using op = await make(batch);
        const part = await op.matmat(vectors, k, { ...this.#threads, signal });
        const size = batch.rows * width;
        if (this.share !== 1) for (let i = 0; i < part.length; i++) part[i]! *= this.share;
        for (let i = 0; i < k; i++) {
          result.set(part.subarray(i * size, (i + 1) * size), i * height + batch.firstRow * width);
        }
      }
      return center ? this.#projected(result, k) : result;
    };
    const rmatmat = async (vectors: FloatArray, k: number, { signal }: ProductContext) => {
      const given = center ? this.#projected(vectors.slice(), k) : vectors;
      const sum = allocated(Float64Array, k * length);
      for await (const batch of this.pass(signal)) {
        if (batch.rows === 0) continue;
        using op = await make(batch);
        const size = batch.rows * width;
        const block = floatArray(this.dtype, k * size);
        for (let i = 0; i < k; i++) {
          const begin = i * height + batch.firstRow * width;
          block.set(given.subarray(begin, begin + size), i * size);
        }
        const part = await op.rmatmat(block, k, { ...this.#threads, signal });
        for (let i = 0; i < sum.length; i++) sum[i]! += this.share * part[i]!;
      }
      return this.dtype === 'float64' ? sum : Float32Array.from(sum);
    };
    return { matmat, rmatmat };
  }

  /**
   * I − s sᵀ with s = √w/‖√w‖ over the rows, in place: √W (I − 1wᵀ/Σw) = (I − s sᵀ) √W, which is how centering comes after
   * the weights.
   */
  #projected(vectors: FloatArray, k: number): FloatArray {
    const [width, rows] = [this.#width, this.rows];
    const root = (n: number) => (this.weights === undefined ? 1 : Math.sqrt(this.weights[n]!));
    for (let i = 0; i < k; i++) {
      const mean = allocated(Float64Array, width);
      for (let n = 0, at = i * rows * width; n < rows; n++) {
        for (let o = 0; o < width; o++, at++) mean[o]! += root(n) * vectors[at]!;
      }
      if (this.weight > 0) for (let o = 0; o < width; o++) mean[o]! /= this.weight;
      for (let n = 0, at = i * rows * width; n < rows; n++) {
        for (let o = 0; o < width; o++, at++) vectors[at]! -= root(n) * mean[o]!;
      }
    }
    return vectors;
  }
}

/** The entries that are not undefined. */
function defined<T extends object>(record: T) {
  return Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
