/** Runs operations of the addon: aborts, errors, and news of them for those who listen. */
import { tracingChannel } from 'node:diagnostics_channel';
import { ABORTED, fromNative, TorchCurvatureError } from '../errors.ts';
import { onAbort } from '../on-abort.ts';
import { addon } from './addon.ts';
import type { Operations } from './interface.ts';

type Name = keyof Operations;

/**
 * Every product, and the making of a model from a file, is announced on the tracing channel `torch-curvature:product` of `node:diagnostics_channel` (`start`
 * and `end` around work on the calling thread, `asyncStart` and `asyncEnd` around the settling of a promise, `error`).
 * One message goes through all of them. It holds `operation`, `device`, `dtype`, and what is known of
 * `parameterCount`, `batch` and `shape` (of models: `nodes` or `bytes`), and `of`, the kind of operator (`gaussNewton`) that a
 * product or a solver is of; once the work is done also `kind`, `queueTime` and `runTime` in milliseconds, which `engine` ran
 * it, and on the CPU its `flops`, as a profile counts them; with `error`, the error. Results are not in it: who meters
 * requests should not see or hold their data.
 */
const channel = tracingChannel('torch-curvature:product');

/** Node 20 gained the summary of a tracing channel only in its later releases. */
const listened = () =>
  channel.start.hasSubscribers ||
  channel.end.hasSubscribers ||
  channel.asyncStart.hasSubscribers ||
  channel.asyncEnd.hasSubscribers ||
  channel.error.hasSubscribers;

/** What kind of work an operation is; `operation` names the function of the addon that does it. */
const KINDS: Readonly<Record<string, string>> = {
  matvecOnTheFly: 'matvec_on_the_fly',
  matvecDense: 'matvec_dense',
  createProgram: 'create_program',
  loadTorchScript: 'load_torchscript',
};

/** Filled by the addon when the work is done. */
interface Meter {
  kind: string;
  queueTime?: number;
  runTime?: number;
  engine?: 'fused' | 'autograd';
  flops?: number;
}

/** Operations that were begun while a profile is recorded, which they write to, and have not ended. */
const watched = { count: 0, operations: new Set<Promise<unknown>>() };

/** Used by the profiler: operations begun from now on are watched until `end` is called. */
export function watchOperations(): {
  running: () => number;
  settled: () => Promise<unknown>;
  end: () => void;
} {
  watched.count++;
  return {
    running: () => watched.operations.size,
    settled: async () => {
      while (watched.operations.size > 0) await Promise.allSettled(watched.operations);
    },
    end: () => {
      watched.count--;
    },
  };
}

/** Runs an operation on the executor's threads. Rejects with the signal's reason once that is aborted. */
export async function run<N extends Name>(
  name: N,
  request: Operations[N]['request'],
  signal: AbortSignal | undefined,
  describe: () => object,
): Promise<Operations[N]['result']> {
  if (watched.count === 0) return await announced(name, request, signal, describe);
  // Not by reactions to the operation's own promise: with more than its caller's, the stack of an error would end here.
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  watched.operations.add(ended);
  try {
    return await announced(name, request, signal, describe);
  } finally {
    watched.operations.delete(ended);
    end();
  }
}

async function announced<N extends Name>(
  name: N,
  request: Operations[N]['request'],
  signal: AbortSignal | undefined,
  describe: () => object,
): Promise<Operations[N]['result']> {
  signal?.throwIfAborted();
  if (!listened()) return stoppable(name, request, signal);
  const meter: Meter = { kind: KINDS[name] ?? name };
  const message = { operation: name, ...describe() };
  const settled = channel.start.runStores(message, () => stoppable(name, metered(request, meter), signal));
  channel.end.publish(message);
  try {
    const result = await settled;
    channel.asyncStart.publish(Object.assign(message, { ...meter, ...message }));
    return result;
  } catch (error) {
    channel.error.publish(Object.assign(message, { ...meter, ...message, error }));
    channel.asyncStart.publish(message);
    throw error;
  } finally {
    channel.asyncEnd.publish(message);
  }
}

/** Runs an operation on the calling thread. */
export function runSync<N extends Name>(
  name: N,
  request: Operations[N]['request'],
  signal: AbortSignal | undefined,
  describe: () => object,
): Operations[N]['result'] {
  signal?.throwIfAborted();
  const call = (given: Operations[N]['request']) =>
    addon()[`${name}Sync`](given as never) as Operations[N]['result'];
  if (!listened()) return call(request);
  const meter: Meter = { kind: KINDS[name] ?? name };
  const message = { operation: `${name}Sync`, ...describe() };
  try {
    return channel.start.runStores(message, () => call(metered(request, meter)));
  } catch (error) {
    channel.error.publish(Object.assign(message, { error }));
    throw error;
  } finally {
    channel.end.publish(Object.assign(message, { ...meter, ...message }));
  }
}

/** Only the end of the process stops what no signal does. */
function ending(cause: unknown): TorchCurvatureError {
  return new TorchCurvatureError('ERR_BUSY', 'the process is ending', { cause });
}

function metered<R extends object>(request: R, meter: Meter): R {
  return { ...request, meter };
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
    const forget = onAbort(signal, () => native.stop(handle));
    try {
      return await start.call(native, request, handle);
    } finally {
      forget();
    }
  } catch (error) {
    if ((error as { code?: unknown } | undefined)?.code === ABORTED) throw signal?.reason ?? ending(error);
    throw fromNative(error);
  }
}
