/** Data that come in batches: where they come from, and what is checked of them. */
import { describe, describeShape, type FloatArray, sizesOf, type Tensor } from '../arrays.ts';
import { outOfRange, TorchCurvatureError, wrongType } from '../errors.ts';
import { checkAwaitable, isList, isRevoked, listOf } from '../foreign.ts';
import { type Inputs, isNamed } from '../model/inputs.ts';
import { Names } from '../options.ts';
import { unlessAborted, untilAborted } from './until-aborted.ts';

/** A part of the data. */
export interface Batch {
  /** The first axis is the batch, of any size. */
  x: Inputs;
  /** For operators of a loss. */
  target?: Tensor;
  /** Weights of the rows of this batch, at least 0; of every batch or of none. */
  weights?: FloatArray;
}

const BATCH = new Names<Batch>('a batch', { x: true, target: true, weights: true });

type Batches = Iterable<Batch> | AsyncIterable<Batch>;

/**
 * Batches of any sizes: an iterable or async iterable that can be gone through again and again (a list, an object that
 * reads a file each time), or a function that returns a new one. A generator itself can be gone through only once. Each
 * pass should give the same rows. Only one pass at a time goes through a source, and a batch is copied before the next
 * one is asked for: a source may use its arrays again. After an abort, too, the next pass begins when the iterator that was
 * left has closed: one that waits for something for ever holds the source for ever.
 */
export type BatchSource = Batches | (() => Batches | Promise<Batches>);

/**
 * Goes through the batches, each checked to be an object with data whose rows have the shapes of the first one's. Once the
 * signal is aborted it throws the signal's reason, also while it waits for the source, whose iterator it then closes.
 */
export async function* batchesOf(source: BatchSource, signal?: AbortSignal): AsyncGenerator<Batch> {
  const leave = await enter(source, signal);
  const opening = open(source);
  let batches: Batches;
  try {
    batches = await unlessAborted(opening, signal);
  } catch (reason) {
    opening.then(leave, leave);
    throw reason;
  }
  let first: string | undefined;
  for await (const given of untilAborted(batches, signal, leave)) {
    if (typeof given !== 'object' || given === null || isRevoked(given) || !('x' in given)) {
      throw wrongType(`batches should hold objects { x, target }, got ${describe(given)}`);
    }
    const batch = BATCH.read(given);
    const rows = describeRows(batch);
    first ??= rows;
    if (rows !== first) {
      throw new TorchCurvatureError(
        'ERR_SHAPE_MISMATCH',
        `batches should have rows of one shape, got ${first} and ${rows}`,
      );
    }
    yield batch;
  }
}

/** Passes that are under way or wait for their turn: the last one of each source. */
const last = new WeakMap<object, Promise<void>>();

/** Waits until the passes before are over; returns what ends this one. */
async function enter(source: BatchSource, signal: AbortSignal | undefined): Promise<() => void> {
  // A list gives the same batches to all.
  if (isList(source) || (typeof source !== 'function' && Object(source) !== source)) return () => {};
  const before = last.get(source);
  let leave = () => {};
  last.set(
    source,
    new Promise((resolve) => {
      leave = resolve;
    }),
  );
  try {
    await unlessAborted(before, signal);
  } catch (reason) {
    before?.then(leave);
    throw reason;
  }
  return leave;
}

/** Iterators that a pass was begun with. */
const used = new WeakSet<object>();

const ONLY_ONCE = 'can be gone through only once';

async function open(source: BatchSource): Promise<Batches> {
  const batches =
    typeof source === 'function' ? await checkAwaitable(source(), 'what batches() returns') : source;
  if (isRevoked(batches)) throw wrongType(`batches should be iterable, got ${describe(batches)}`);
  const {
    [Symbol.asyncIterator]: asynchronous,
    [Symbol.iterator]: synchronous,
    next,
    getReader,
    pipe,
  } = Object(batches);
  if (typeof asynchronous !== 'function' && typeof synchronous !== 'function') {
    throw wrongType(
      `batches should be iterable, or a function that returns an iterable, got ${describe(batches)}`,
    );
  }
  // What has a position of its own, as generators and streams of bytes have, is at its end after one pass.
  if ([next, getReader, pipe].some((method) => typeof method === 'function')) {
    if (typeof source !== 'function') {
      throw outOfRange(
        `batches ${ONLY_ONCE}, as a generator can; pass a function that returns a new one, () => batches()`,
      );
    }
    if (used.has(batches)) {
      throw outOfRange(
        `batches() returned what it returned before, which ${ONLY_ONCE}; return a new iterable each time`,
      );
    }
    used.add(batches);
  }
  return batches;
}

/** The shapes of the rows of a batch; what is no tensor is found out where it is used. */
function describeRows({ x, target, weights }: Batch): string {
  const row = (value: unknown) => {
    if (isRevoked(value)) return describe(value);
    const { shape } = Object(value) as Partial<Tensor>;
    return isList(shape) ? describeShape(sizesOf(shape, 'a shape').slice(1)) : describe(value);
  };
  const inputs = isList(x) ? listOf(x, 'x').map(row) : isNamed(x) ? Object.values(x).map(row) : [row(x)];
  return `${inputs.join(', ')}${target === undefined ? '' : ` with targets ${row(target)}`}${weights === undefined ? '' : ' and weights'}`;
}
