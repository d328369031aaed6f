/** Estimators by products with random vectors. */

import { run, runSync } from '../addon/run.ts';
import type { FloatArray, ResultArray } from '../arrays.ts';
import { checkOneOf, positive } from '../check.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { type SolverOptions, seedOf, solverRequest } from './arguments.ts';

/** Of `trace`. */
export interface TraceOptions extends SolverOptions {
  /**
   * `'hutchinson'` (the default): the mean of zᵀA z. `'hutch++'` takes the trace on the dominant subspace exactly, which
   * for a positive semi-definite operator needs far fewer products for the same error; with fewer than three samples it is
   * Hutchinson's.
   */
  method?: 'hutchinson' | 'hutch++';
  /** Products with the operator; 30 by default. */
  samples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const TRACE_OPTIONS = new OptionNames<TraceOptions>({
  method: true,
  samples: true,
  seed: true,
  threads: true,
  signal: true,
});

/** An estimate of a trace. */
export interface TraceEstimate {
  estimate: number;
  /** Of the mean over the random vectors: NaN for fewer than two, 0 where Hutch++ has the whole trace exactly. */
  standardError: number;
  /** Products with the operator. */
  products: number;
}

/** The trace of a square operator. */
export async function trace(op: LinearOperator, options?: TraceOptions): Promise<TraceEstimate> {
  const { request, signal, describe } = traceRequest(op, options);
  return run('trace', request, signal, describe);
}
/** `trace` on the calling thread. */
export function traceSync(op: LinearOperator, options?: TraceOptions): TraceEstimate {
  const { request, signal, describe } = traceRequest(op, options);
  return runSync('trace', request, signal, describe);
}

function traceRequest(op: LinearOperator, options: TraceOptions | undefined) {
  const { method: given = 'hutchinson', ...how } = TRACE_OPTIONS.read(options);
  const { request, ...rest } = sampledRequest('trace', op, how);
  const method = checkOneOf(given, ['hutchinson', 'hutch++'] as const, 'method');
  return { ...rest, request: { ...request, method } };
}

/** Of `diagonal`. */
export interface DiagonalOptions extends SolverOptions {
  /** Products with the operator; 30 by default. */
  samples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const DIAGONAL_OPTIONS = new OptionNames<DiagonalOptions>({
  samples: true,
  seed: true,
  threads: true,
  signal: true,
});

/** An estimate of a diagonal. */
export interface DiagonalEstimate<F extends FloatArray = FloatArray> {
  /** [n] */
  diagonal: ResultArray<F>;
  /** [n], of the mean over the random vectors; NaN for fewer than two. */
  standardError: ResultArray<F>;
}

/** The diagonal of a square operator, as the mean of z ⊙ A z; the method `op.diagonal()` is exact. */
export async function diagonal<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: DiagonalOptions,
): Promise<DiagonalEstimate<F>> {
  const { request, signal, describe } = sampledRequest('diagonal', op, DIAGONAL_OPTIONS.read(options));
  return run('stochasticDiagonal', request, signal, describe) as Promise<DiagonalEstimate<F>>;
}
/** `diagonal` on the calling thread. */
export function diagonalSync<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: DiagonalOptions,
): DiagonalEstimate<F> {
  const { request, signal, describe } = sampledRequest('diagonal', op, DIAGONAL_OPTIONS.read(options));
  return runSync('stochasticDiagonal', request, signal, describe) as DiagonalEstimate<F>;
}

function sampledRequest(name: string, op: LinearOperator, { samples = 30, seed, ...how }: DiagonalOptions) {
  const { request, ...rest } = solverRequest(name, op, how);
  return { ...rest, request: { ...request, samples: positive(samples, 'samples'), seed: seedOf(seed) } };
}
