/**
 * Measurements in fresh processes: `measureFresh` starts `torch-curvature measure`, hands it a request over the IPC
 * channel and awaits one reply. Only a fresh process shows how much memory one product takes.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Command } from 'commander';
import type { FloatArray } from '../../index.ts';
import { errorCode, RunFailure } from '../failure.ts';
import { endTogether } from '../interrupt.ts';
import { createExperiment, type ExperimentSpec, type Method } from './experiment.ts';
import { type PeakMemory, withPeakMemory } from './memory.ts';
import { runsWithin, summarize, type Timing, timed } from './timing.ts';

export const MEASURE = 'measure';

export interface MeasureRequest {
  spec: ExperimentSpec;
  method: Method;
  /** How long to go on timing after the first product; 0 measures memory only. */
  budgetMs: number;
}

export interface Measurement {
  /** How much the first product raised the peak resident memory. */
  memory: PeakMemory;
  /** Runs after the first one; where a single one takes longer than the budget, that first one. */
  timing: Timing;
  result: FloatArray;
}

/** A refusal that is an answer in itself, such as `ERR_OUT_OF_MEMORY`. */
export interface Refusal {
  code: string | undefined;
  message: string;
}

export type MeasureReply = { measurement: Measurement } | { refusal: Refusal };

/** Runs one product in a fresh process. `executable` is the script of this command line. */
export async function measureFresh(executable: string, request: MeasureRequest): Promise<MeasureReply> {
  const child = fork(executable, [MEASURE], {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const forget = endTogether(child);
  child.once('exit', forget);
  const replied = once(child, 'message').then(([reply]) => reply as MeasureReply);
  child.send(request);
  const reply = await Promise.race([replied, exited.then(() => undefined)]);
  if (reply === undefined) {
    const end = child.signalCode === null ? `with exit code ${child.exitCode}` : `by ${child.signalCode}`;
    throw new RunFailure(`the process measuring the ${request.method} product was ended ${end}`);
  }
  await exited;
  return reply;
}

/** The other end, as a command that is not meant for people. */
export function measureCommand(): Command {
  return new Command(MEASURE).description('Answer one measurement of bench.').action(async () => {
    if (process.send === undefined) throw new RunFailure(`'${MEASURE}' is started by 'bench' only`);
    const [request] = (await once(process, 'message')) as [MeasureRequest];
    const reply = answer(request);
    // `bench` was ended meanwhile, and with it who wanted to know.
    if (!process.connected) return;
    await new Promise<void>((resolve) => process.send!(reply, undefined, undefined, () => resolve()));
    process.disconnect();
  });
}

function answer({ spec, method, budgetMs }: MeasureRequest): MeasureReply {
  try {
    const experiment = createExperiment(spec);
    const { memory, outcome: first } = withPeakMemory(() => timed(() => experiment.run(method)));
    const runs = runsWithin(budgetMs, first.ms, { least: 0, most: 200 });
    const samples = Array.from({ length: runs }, () => timed(() => experiment.run(method)).ms);
    const timing = summarize(samples.length > 0 ? samples : [first.ms]);
    return { measurement: { memory, timing, result: first.result } };
  } catch (error) {
    return { refusal: { code: errorCode(error), message: (error as Error).message } };
  }
}
