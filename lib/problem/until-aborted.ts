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
 *
 * @param closed called once the iterator is closed and no item of it is waited for, which may be long after an abort
 */
export async function* untilAborted<T>(
  items: Iterables<T>,
  signal: AbortSignal | undefined,
  closed: () => void,
): AsyncGenerator<Awaited<T>> {
  let iterator: Iterator<T> | AsyncIterator<T> | undefined;
  let ended = true; // also where next() throws
  let result: IteratorResult<T> | Promise<IteratorResult<T>> | undefined;
  let item: T | undefined;
  try {
    iterator = iteratorOf(items);
    for (;;) {
      result = iterator.next();
      const { done, value } = await unlessAborted(result, signal);
      if (done === true) return;
      ended = false;
      item = checkAwaitable(value, 'a batch');
      yield await unlessAborted(item, signal);
      item = undefined;
      ended = true;
    }
  } finally {
    if (isAborted(signal)) {
      // A generator closes when next() is over; what has no return() is left when that is.
      const left = (async () => {
        if (iterator?.return === undefined) await result;
        else await iterator.return();
      })();
      Promise.allSettled([left, item]).then(closed);
    } else {
      try {
        if (!ended) await iterator?.return?.();
      } finally {
        closed();
      }
    }
  }
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
