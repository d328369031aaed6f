/** Waiting for the caller's promises and iterators no longer than until a signal is aborted. */
import { checkAwaitable } from '../foreign.ts';
import { onAbort } from '../on-abort.ts';

/** What the promise gives, or the signal's reason once that is aborted. */
export async function unlessAborted<T>(
  promise: T | PromiseLike<T>,
  signal: AbortSignal | undefined,
): Promise<Awaited<T>> {
  if (signal === undefined) return await promise;
  const given = Promise.resolve(promise);
  // Its failure is nobody's where the signal has ended this, or throws.
  given.catch(() => {});
  signal.throwIfAborted();
  let forget = () => {};
  const aborted = new Promise<never>((_, reject) => {
    forget = onAbort(signal, () => reject(signal.reason));
  });
  try {
    return await Promise.race([given, aborted]);
  } finally {
    forget();
  }
}

type Iterables<T> = Iterable<T> | AsyncIterable<T>;

/**
 * The items, as `for await` goes through them. An iterator that is left before its end is closed by `return()`; that is
 * waited for, unless the signal was aborted: a generator that waits for something closes only when that comes.
 */
export async function* untilAborted<T>(
  items: Iterables<T>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Awaited<T>> {
  const iterator = iteratorOf(items);
  let ended = true; // also where next() throws
  try {
    for (;;) {
      const { done, value } = await next(iterator, signal);
      if (done === true) return;
      ended = false;
      yield await unlessAborted(checkAwaitable(value, 'a batch'), signal);
      ended = true;
    }
  } finally {
    if (isAborted(signal)) {
      (async () => iterator.return?.())().catch(() => {});
    } else if (!ended) {
      await iterator.return?.();
    }
  }
}

async function next<T>(iterator: Iterator<T> | AsyncIterator<T>, signal: AbortSignal | undefined) {
  return unlessAborted(iterator.next(), signal);
}

function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true;
}

function iteratorOf<T>(items: Iterables<T>): Iterator<T> | AsyncIterator<T> {
  const asynchronous = (items as AsyncIterable<T>)[Symbol.asyncIterator];
  return typeof asynchronous === 'function'
    ? asynchronous.call(items)
    : (items as Iterable<T>)[Symbol.iterator]();
}
