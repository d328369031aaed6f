/** Both products over a range of sizes, each measured in a fresh process. */
import { RunFailure } from '../failure.ts';
import { fitTable, wrapWords } from '../fit.ts';
import { formatBytes, formatMs, formatPeak, formatRatio } from '../format.ts';
import type { SweepAxis } from '../options.ts';
import { type Measurement, measureFresh, type Refusal } from './child.ts';
import { type ExperimentSpec, type Method, modelName, parameterCount } from './experiment.ts';
import { denseBytes } from './memory.ts';
import type { Progress } from './progress.ts';
import { maxRelativeDifference, TOLERANCES } from './timing.ts';

export interface SweepProduct {
  minMs: number;
  medianMs: number;
  runs: number;
  peakBytes: number;
  /** The product took no more than `peakBytes`; how much less cannot be seen. */
  peakBytesIsUpperBound: boolean;
}

export interface SweepPoint {
  /** The swept size. */
  value: number;
  model: string;
  parameterCount: number;
  batch: number;
  dense: SweepProduct | null;
  onTheFly: SweepProduct;
  /** Bytes of J and JᵀJ. */
  denseEstimateBytes: number;
  /** Why dense was not run. */
  refusal: string | null;
  speedup: number | null;
  maxRelativeDifference: number | null;
}

export interface Sweep {
  axis: SweepAxis;
  points: SweepPoint[];
  failures: string[];
}

/** Time for the repetitions of one product at one size. */
const BUDGET_MS = 2_000;

export async function runSweep(
  executable: string,
  base: ExperimentSpec,
  axis: SweepAxis,
  progress: Progress,
): Promise<Sweep> {
  const points: SweepPoint[] = [];
  const failures: string[] = [];
  for (const value of axis.values) {
    const spec = { ...base, [axis.name]: value };
    const measure = async (method: Method) => {
      progress.step(`${axis.name} = ${value}, ${method}`);
      const reply = await measureFresh(executable, { spec, method, budgetMs: BUDGET_MS });
      progress.done();
      return reply;
    };
    const onTheFly = await measure('onTheFly');
    if ('refusal' in onTheFly) throw failure(onTheFly.refusal, spec, 'on-the-fly');
    const dense = await measure('dense');
    if ('refusal' in dense && dense.refusal.code !== 'ERR_OUT_OF_MEMORY') {
      throw failure(dense.refusal, spec, 'dense');
    }
    const point = sweepPoint(spec, value, onTheFly.measurement, dense);
    const tolerance = TOLERANCES[spec.dtype];
    if (point.maxRelativeDifference !== null && !(point.maxRelativeDifference <= tolerance)) {
      failures.push(`${axis.name} = ${value}: the products differ by ${point.maxRelativeDifference}`);
    }
    points.push(point);
  }
  return { axis, points, failures };
}

function sweepPoint(
  spec: ExperimentSpec,
  value: number,
  onTheFly: Measurement,
  dense: { measurement: Measurement } | { refusal: Refusal },
): SweepPoint {
  const parameters = parameterCount(spec);
  const ran = 'measurement' in dense ? dense.measurement : undefined;
  return {
    value,
    model: modelName(spec),
    parameterCount: parameters,
    batch: spec.batch,
    dense: ran === undefined ? null : sweepProduct(ran),
    onTheFly: sweepProduct(onTheFly),
    denseEstimateBytes: denseBytes(spec, parameters),
    refusal: 'refusal' in dense ? dense.refusal.message : null,
    speedup: ran === undefined ? null : ran.timing.minMs / onTheFly.timing.minMs,
    maxRelativeDifference: ran === undefined ? null : maxRelativeDifference(onTheFly.result, ran.result),
  };
}

function sweepProduct({ timing, memory }: Measurement): SweepProduct {
  return { ...timing, peakBytes: memory.bytes, peakBytesIsUpperBound: memory.isUpperBound };
}

function failure({ code, message }: Refusal, spec: ExperimentSpec, method: string): Error {
  const reason = code === undefined ? message : `${message} (${code})`;
  return new RunFailure(`${method} product of a ${modelName(spec)} MLP: ${reason}`);
}

/** `width`: the columns there are. */
export function sweepTable({ axis, points }: Sweep, width: number): string {
  const head = [axis.name, 'P', 'dense', 'on-the-fly', 'speed-up', 'dense memory', 'on-the-fly memory'];
  const rows = points.map((point) => [
    String(point.value),
    String(point.parameterCount),
    point.dense === null ? 'does not fit' : formatMs(point.dense.minMs),
    formatMs(point.onTheFly.minMs),
    point.speedup === null ? '' : formatRatio(point.speedup),
    point.dense === null ? `needs ${formatBytes(point.denseEstimateBytes)}` : formatPeak(point.dense),
    formatPeak(point.onTheFly),
  ]);
  const refusals = points.flatMap(({ value, refusal }) =>
    refusal === null ? [] : [`${axis.name} = ${value}: dense was not run: ${refusal}`],
  );
  return [
    wrapWords('Minimum times; each product measured in a fresh process.', width),
    fitTable(head, rows, width),
    ...refusals.map((line) => wrapWords(line, width)),
    '',
  ].join('\n');
}
