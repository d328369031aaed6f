/** Operators over batches that never sit in memory at once: each product goes through them one by one. */
import { type DType, describe, describeShape, type FloatArray, floatArray, type Tensor } from '../arrays.ts';
import { outOfRange, TorchCurvatureError, wrongType } from '../errors.ts';
import type { Inputs, Model } from '../models.ts';
import { Names } from '../options.ts';
import { checkModel } from '../products.ts';
import { makeCustom } from './custom.ts';
import type { LinearOperator } from './linear-operator.ts';
import type { LossProblem } from './problem.ts';

/** A part of the data. */
export interface Batch {
  /** The first axis is the batch, of any size. */
  x: Inputs;
  /** For operators of a loss. */
  target?: Tensor;
}

const BATCH = new Names<Batch>('a batch', { x: true, target: true });

type Batches = Iterable<Batch> | AsyncIterable<Batch>;

/**
 * Batches of any sizes: an iterable or async iterable that can be gone through again and again (a list, an object that
 * reads a file each time), or a function that returns a new one. A generator itself can be gone through only once.
 */
export type BatchSource = Batches | (() => Batches | Promise<Batches>);

/** A problem whose data are a stream of batches. */
export interface StreamedProblem extends Omit<LossProblem, 'x' | 'target' | 'loss'> {
  /** Gone through once for each product. */
  batches: BatchSource;
  /** For operators of a loss. */
  loss?: LossProblem['loss'];
}

const STREAMED = new Names<StreamedProblem>('problem', {
  model: true,
  params: true,
  batches: true,
  loss: true,
  reduction: true,
});

/** A copy of the problem with a model in it; the batches are checked as they come. */
export function readStreamed(problem: StreamedProblem): StreamedProblem {
  const given = STREAMED.read(problem);
  checkModel(given.model);
  return given;
}

export function isStreamed(problem: unknown): problem is StreamedProblem {
  return typeof problem === 'object' && problem !== null && 'batches' in problem;
}

/** Goes through the batches, each checked to be an object with data. */
export async function* batchesOf(source: BatchSource): AsyncGenerator<Batch> {
  for await (const batch of await open(source)) {
    if (typeof batch !== 'object' || batch === null || !('x' in batch)) {
      throw wrongType(`batches should hold objects { x, target }, got ${describe(batch)}`);
    }
    yield BATCH.read(batch);
  }
}

async function open(source: BatchSource): Promise<Batches> {
  const batches = typeof source === 'function' ? await source() : source;
  const { [Symbol.asyncIterator]: asynchronous, [Symbol.iterator]: synchronous, next } = Object(batches);
  if (typeof asynchronous !== 'function' && typeof synchronous !== 'function') {
    throw wrongType(
      `batches should be iterable, or a function that returns an iterable, got ${describe(batches)}`,
    );
  }
  // What has a position of its own, as a generator has, is at its end after one pass.
  if (typeof source !== 'function' && typeof next === 'function') {
    throw outOfRange(
      'batches can be gone through only once, as a generator can; pass a function that returns a new one, () => batches()',
    );
  }
  return batches;
}

/** What the share of a batch in the mean over all is counted in. */
export type CountOf = (batch: Batch) => number;

/** Rows: for means over samples. */
export const rowsOf: CountOf = ({ x }) => (Array.isArray(x) ? (x as Tensor[])[0]! : (x as Tensor)).shape[0]!;

/** PyTorch marks targets that do not count with this class. */
const IGNORED = -100;

/** Terms of the loss, which PyTorch's mean divides by. */
export const termsOf: CountOf = ({ target }) => {
  if (target === undefined)
    throw wrongType('each batch should have a target, as the operator is that of a loss');
  const { data } = target;
  if (data instanceof Int32Array) return data.reduce((sum, each) => sum + Number(each !== IGNORED), 0);
  if (data instanceof BigInt64Array) {
    return data.reduce((sum, each) => sum + Number(each !== BigInt(IGNORED)), 0);
  }
  return data.length;
};

/**
 * The sum of the operators of the batches, each weighted by its share where the operator is a mean.
 *
 * @param make the operator of one batch, [P, P]
 * @param share how a batch counts in a mean; undefined for sums
 */
export async function streamedOperator(
  { model, batches }: { model: Model; batches: BatchSource },
  { dtype, device }: { dtype: DType; device: string },
  share: CountOf | undefined,
  make: (batch: Batch, index: number) => Promise<LinearOperator>,
): Promise<LinearOperator> {
  const total = await countAll(batches, share);
  const length = model.parameterCount;
  const space = { kind: 'parameters', model } as const;
  const matmat = async (vectors: FloatArray, k: number): Promise<FloatArray> => {
    const sum = floatArray(dtype, k * length);
    let index = 0;
    for await (const batch of batchesOf(batches)) {
      const weight = share === undefined ? 1 : share(batch) / total;
      // A batch without terms has no mean of its own.
      if (weight > 0) {
        using op = await make(batch, index);
        const part = await op.matmat(vectors, k);
        for (let i = 0; i < sum.length; i++) sum[i]! += weight * part[i]!;
      }
      index += 1;
    }
    return sum;
  };
  return makeCustom({ shape: [length, length], dtype, device, symmetric: true, matmat }, space, space);
}

/** One pass that also finds out early whether the batches can be gone through. */
async function countAll(batches: BatchSource, share: CountOf | undefined): Promise<number> {
  let total = 0;
  let width: string | undefined;
  for await (const batch of batchesOf(batches)) {
    if (share !== undefined) total += share(batch);
    const { shape } = Array.isArray(batch.x) ? (batch.x as Tensor[])[0]! : (batch.x as Tensor);
    const row = describeShape(shape.slice(1));
    width ??= row;
    if (row !== width) {
      throw new TorchCurvatureError(
        'ERR_SHAPE_MISMATCH',
        `batches should have rows of one shape, got ${width} and ${row}`,
      );
    }
  }
  return total;
}
