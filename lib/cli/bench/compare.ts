/** Both products at one size: numbers, times, profiles, memory. */
import { join } from 'node:path';
import { type FloatArray, info, profile } from '../../index.ts';
import { errorCode } from '../failure.ts';
import { type MeasureReply, measureFresh } from './child.ts';
import {
  createExperiment,
  type Experiment,
  type ExperimentSpec,
  METHODS,
  type Method,
  modelName,
} from './experiment.ts';
import type { Progress } from './progress.ts';
import { maxRelativeDifference, runsWithin, summarize, type Timing, TOLERANCES, timed } from './timing.ts';

/** One product in the JSON that `bench` writes. */
export interface ProductResult extends Timing {
  /** How much one product raised the peak resident memory of a fresh process. */
  peakBytes: number;
  /** It did not raise it so that it could be seen: it took no more than `peakBytes`. */
  peakBytesIsUpperBound: boolean;
  /** Bytes that libtorch had allocated at the highest point of one product, from the profiler. */
  peakAllocatedBytes: number;
  head: number[];
  tail: number[];
}

/** The JSON that `bench` writes; `dense` and what follows from it is null where dense would not fit in memory. */
export interface Results {
  model: string;
  parameterCount: number;
  batch: number;
  dtype: string;
  device: string;
  threads: number;
  seed: number;
  libtorchVersion: string;
  dense: ProductResult | null;
  onTheFly: ProductResult;
  speedup: number | null;
  maxRelativeDifference: number | null;
  tolerance: number;
}

export interface Comparison {
  results: Results;
  /** PyTorch's table of each product that ran, and how long that run took from outside. */
  profiles: { method: Method; table: string; wallMs: number }[];
  /** Why dense did not run. */
  refusal?: string;
  /** Reasons for exit code 1. */
  failures: string[];
}

export interface CompareOptions {
  repeat?: number;
  sortBy: string;
  rowLimit: number;
  trace?: string;
  progress: Progress;
}

export async function compare(
  executable: string,
  spec: ExperimentSpec,
  options: CompareOptions,
): Promise<Comparison> {
  const { progress } = options;
  const memory = {} as Record<Method, MeasureReply>;
  for (const method of METHODS) {
    progress.step(`memory, ${method}`);
    memory[method] = await measureFresh(executable, { spec, method, budgetMs: 0 });
    progress.done();
  }

  progress.step('times and profiles');
  const experiment = createExperiment(spec);
  const { outputs, refusal } = firstRuns(experiment);
  const methods = METHODS.filter((method) => method in outputs);
  const times = timeInterleaved(experiment, methods, options.repeat);
  const profiles = await profileEach(experiment, methods, options);
  progress.done();

  const product = (method: Method): ProductResult | null => {
    const output = outputs[method];
    if (output === undefined) return null;
    return {
      ...times[method]!,
      ...peakFields(memory[method]),
      peakAllocatedBytes: profiles.find((each) => each.method === method)!.peakMemory,
      head: [...output.slice(0, 3)],
      tail: [...output.slice(-3)],
    };
  };
  const dense = product('dense');
  const onTheFly = product('onTheFly')!;
  const difference =
    outputs.dense === undefined ? null : maxRelativeDifference(outputs.onTheFly!, outputs.dense);
  const libtorch = info();
  const results: Results = {
    model: modelName(spec),
    parameterCount: experiment.problem.model.parameterCount,
    batch: spec.batch,
    dtype: spec.dtype,
    device: spec.device,
    threads: spec.threads ?? libtorch.threads,
    seed: spec.seed,
    libtorchVersion: libtorch.libtorchVersion,
    dense,
    onTheFly,
    speedup: dense === null ? null : dense.minMs / onTheFly.minMs,
    maxRelativeDifference: difference,
    tolerance: TOLERANCES[spec.dtype],
  };
  return {
    results,
    profiles,
    ...(refusal === undefined ? {} : { refusal }),
    failures: failuresOf(results, refusal),
  };
}

function failuresOf({ maxRelativeDifference, tolerance }: Results, refusal: string | undefined): string[] {
  if (refusal !== undefined) return [`the dense product was not run, so nothing was compared: ${refusal}`];
  // Written so that NaN fails.
  if (maxRelativeDifference !== null && maxRelativeDifference <= tolerance) return [];
  return [
    `the products differ by ${maxRelativeDifference} relative to the largest element (allowed: ${tolerance})`,
  ];
}

/** Also the warm-up. Dense may be refused for its memory; any other failure is one of the run. */
function firstRuns(experiment: Experiment): {
  outputs: Partial<Record<Method, FloatArray>>;
  refusal?: string;
} {
  const onTheFly = experiment.run('onTheFly');
  try {
    return { outputs: { dense: experiment.run('dense'), onTheFly } };
  } catch (error) {
    if (errorCode(error) !== 'ERR_OUT_OF_MEMORY') throw error;
    return { outputs: { onTheFly }, refusal: (error as Error).message };
  }
}

/** Time that the repetitions may take when their number was not given. */
const BUDGET_MS = 8_000;

/**
 * Rounds of one dense and some on-the-fly products, so that what else the machine does meets both. `repeat` asks for
 * exactly that many of each.
 */
function timeInterleaved(
  experiment: Experiment,
  methods: readonly Method[],
  repeat: number | undefined,
): Partial<Record<Method, Timing>> {
  const samples: Record<Method, number[]> = { dense: [], onTheFly: [] };
  const run = (method: Method) => {
    const { ms } = timed(() => experiment.run(method));
    samples[method].push(ms);
    return ms;
  };
  // The first round also tells how many follow.
  const first = methods.map(run);
  const longest = Math.max(...first);
  const rounds = repeat ?? runsWithin(BUDGET_MS, longest, { least: 3, most: 20 });
  const perRound = repeat === undefined ? runsWithin(longest / 4, first.at(-1)!, { least: 1, most: 10 }) : 1;
  for (let round = 1; round < rounds; round++) {
    for (const method of methods) {
      const runs = method === 'onTheFly' ? perRound : 1;
      for (let i = 0; i < runs; i++) run(method);
    }
  }
  return Object.fromEntries(methods.map((method) => [method, summarize(samples[method])]));
}

/** The file of a product's trace. */
export const traceName = (method: Method) => `${method}.json`;

async function profileEach(
  experiment: Experiment,
  methods: readonly Method[],
  { sortBy, rowLimit, trace }: CompareOptions,
) {
  const activities: ('cpu' | 'cuda')[] = experiment.spec.device === 'cpu' ? ['cpu'] : ['cpu', 'cuda'];
  const profiles: { method: Method; table: string; wallMs: number; peakMemory: number }[] = [];
  for (const method of methods) {
    const { result, profile: recorded } = await profile(() => timed(() => experiment.run(method)), {
      activities,
      recordShapes: false,
      profileMemory: true,
      withFlops: true,
    });
    if (trace !== undefined) recorded.exportChromeTrace(join(trace, traceName(method)));
    const table = recorded.keyAverages().table({ sortBy, rowLimit });
    profiles.push({ method, table, wallMs: result.ms, peakMemory: recorded.peakMemory });
  }
  return profiles;
}

function peakFields(reply: MeasureReply) {
  const { bytes, isUpperBound } =
    'measurement' in reply ? reply.measurement.memory : { bytes: Number.NaN, isUpperBound: false };
  return { peakBytes: bytes, peakBytesIsUpperBound: isUpperBound };
}
