/** Traces in the layout of TensorBoard's profiler plugin. */
import { mkdirSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe } from '../arrays.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { OptionNames } from '../options.ts';
import type { Profile } from './profile.ts';

/** Of `tensorboardTraceHandler`. */
export interface TraceHandlerOptions {
  /** Unique for each process; `<host>_<process id>` by default. */
  workerName?: string;
  /** Writes `.json.gz`. */
  useGzip?: boolean;
}

const HANDLER_OPTIONS = new OptionNames<TraceHandlerOptions>({ workerName: true, useGzip: true });

/**
 * What `onTraceReady` takes: writes each profile to `<folder>/<worker>.<time>.pt.trace.json`, where TensorBoard and
 * Holistic Trace Analysis look for it, as `torch.profiler.tensorboard_trace_handler` does.
 */
export function tensorboardTraceHandler(
  folder: string,
  options?: TraceHandlerOptions,
): (profile: Profile) => void {
  if (typeof folder !== 'string') throw wrongType(`folder should be a string, got ${describe(folder)}`);
  const { workerName = `${hostname()}_${process.pid}`, useGzip = false } = HANDLER_OPTIONS.read(options);
  if (typeof workerName !== 'string' || /[/\\]/.test(workerName)) {
    throw wrongType(`workerName should be a name without slashes, got ${describe(workerName)}`);
  }
  return (profile) => {
    makeFolder(folder);
    const time = BigInt(Date.now()) * 1_000_000n + (process.hrtime.bigint() % 1_000_000n);
    profile.exportChromeTrace(join(folder, `${workerName}.${time}.pt.trace.json${useGzip ? '.gz' : ''}`));
  };
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw outOfRange(`the folder '${folder}' could not be made: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
