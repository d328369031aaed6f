/** Estimators by products with random vectors. */

import type { FloatArray, ResultArray } from '../arrays.ts';
import { checkOneOf, positive } from '../check.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { type SolverOptions, seedOf, solver } from './arguments.ts';

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

const TRACE = solver({ name: 'trace', names: TRACE_OPTIONS }, (_op, { method = 'hutchinson', ...how }) => ({
  options: { ...sampling(how), method: checkOneOf(method, ['hutchinson', 'hutch++'] as const, 'method') },
  result: (found) => found as TraceEstimate,
}));

/** The trace of a square operator. */
export async function trace(op: LinearOperator, options?: TraceOptions): Promise<TraceEstimate> {
  return TRACE.promised(op, options);
}
/** `trace` on the calling thread. */
export function traceSync(op: LinearOperator, options?: TraceOptions): TraceEstimate {
  return TRACE.sync(op, options);
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

const DIAGONAL = solver(
  { name: 'diagonal', row: 'stochasticDiagonal', names: DIAGONAL_OPTIONS },
  (_op, how) => ({ options: sampling(how), result: (found) => found as DiagonalEstimate }),
);

/** The diagonal of a square operator, as the mean of z ⊙ A z; the method `op.diagonal()` is exact. */
export async function diagonal<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: DiagonalOptions,
): Promise<DiagonalEstimate<F>> {
  return DIAGONAL.promised(op, options) as Promise<DiagonalEstimate<F>>;
}
/** `diagonal` on the calling thread. */
export function diagonalSync<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: DiagonalOptions,
): DiagonalEstimate<F> {
  return DIAGONAL.sync(op, options) as DiagonalEstimate<F>;
}

function sampling({ samples = 30, seed }: DiagonalOptions) {
  return { samples: positive(samples, 'samples'), seed: seedOf(seed) };
}
