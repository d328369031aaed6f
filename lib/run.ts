/** Runs operations of the addon: aborts, errors, and news of them for those who listen. */
import { tracingChannel } from 'node:diagnostics_channel';
import { ABORTED, fromNative, translated } from './errors.ts';
import { addon, type Operations } from './native.ts';

type Name = keyof Operations;

/**
 * Every product is announced on the tracing channel `torch-curvature:product` of `node:diagnostics_channel` (`start`
 * and `end` around work on the calling thread, `asyncStart` and `asyncEnd` around the settling of a promise, `error`).
 * The message holds `operation`, `device`, `dtype`, `parameterCount` and `batch`.
 */
const channel = tracingChannel('torch-curvature:product');

/** Node 20 gained the summary of a tracing channel only in its later releases. */
const listened = () =>
  channel.start.hasSubscribers ||
  channel.end.hasSubscribers ||
  channel.asyncStart.hasSubscribers ||
  channel.asyncEnd.hasSubscribers ||
  channel.error.hasSubscribers;

/** Runs an operation on the executor's threads. Rejects with the signal's reason once that is aborted. */
export async function run<N extends Name>(
  name: N,
  request: Operations[N]['request'],
  signal: AbortSignal | undefined,
  describe: () => object,
): Promise<Operations[N]['result']> {
  signal?.throwIfAborted();
  const call = () => stoppable(name, request, signal);
  return listened() ? channel.tracePromise(call, { operation: name, ...describe() }) : call();
}

/** Runs an operation on the calling thread. */
export function runSync<N extends Name>(
  name: N,
  request: Operations[N]['request'],
  signal: AbortSignal | undefined,
  describe: () => object,
): Operations[N]['result'] {
  signal?.throwIfAborted();
  const call = () => translated(() => addon()[`${name}Sync`](request as never) as Operations[N]['result']);
  return listened() ? channel.traceSync(call, { operation: `${name}Sync`, ...describe() }) : call();
}

async function stoppable<N extends Name>(
  name: N,
  request: Operations[N]['request'],
  signal: AbortSignal | undefined,
): Promise<Operations[N]['result']> {
  const native = addon();
  const start = native[name] as (
    request: Operations[N]['request'],
    stop?: unknown,
  ) => Promise<Operations[N]['result']>;
  try {
    if (signal === undefined) return await start.call(native, request);
    const handle = native.createStop();
    const stop = () => native.stop(handle);
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await start.call(native, request, handle);
    } finally {
      signal.removeEventListener('abort', stop);
    }
  } catch (error) {
    if ((error as { code?: unknown }).code === ABORTED) throw signal?.reason ?? error;
    throw fromNative(error);
  }
}
