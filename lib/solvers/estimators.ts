/** Estimators by products with random vectors. */

import type { FloatArray, ResultArray } from '../arrays.ts';
import { checkOneOf, positive } from '../check.ts';
import { outOfRange } from '../errors.ts';
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

/** Of `xtrace` and `xdiag`. */
export interface ExchangeableOptions extends SolverOptions {
  /** Products with the operator, at least 4; 30 by default. Half of them find a basis of what it does most. */
  samples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const SAMPLING_NAMES = { samples: true, seed: true, threads: true, signal: true } as const;
const EXCHANGEABLE_OPTIONS = new OptionNames<ExchangeableOptions>(SAMPLING_NAMES);

const XTRACE = solver({ name: 'xtrace', names: EXCHANGEABLE_OPTIONS }, (_op, how) => ({
  options: exchangeable(how),
  result: (found) => found as TraceEstimate,
}));

/**
 * The trace of a square operator by XTrace (Epperly, Tropp & Webber 2024, "XTrace: making the most of every sample in
 * stochastic trace estimation"): where eigenvalues decay, closer for as many products than `trace` by either method, and
 * exact, up to rounding, for an operator whose rank is below half of the samples.
 */
export async function xtrace(op: LinearOperator, options?: ExchangeableOptions): Promise<TraceEstimate> {
  return XTRACE.promised(op, options);
}
/** `xtrace` on the calling thread. */
export function xtraceSync(op: LinearOperator, options?: ExchangeableOptions): TraceEstimate {
  return XTRACE.sync(op, options);
}

/** Of `squaredFrobeniusNorm`. */
export interface SquaredFrobeniusNormOptions extends SolverOptions {
  /** Products with the operator; 30 by default. */
  samples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const NORM = solver(
  {
    name: 'squaredFrobeniusNorm',
    names: new OptionNames<SquaredFrobeniusNormOptions>(SAMPLING_NAMES),
    rectangular: true,
  },
  (_op, how) => ({ options: sampling(how), result: (found) => found as TraceEstimate }),
);

/** ‖A‖²_F = Σ A_ij² of any operator, as the mean of ‖A z‖² over random z with entries ±1. */
export async function squaredFrobeniusNorm(
  op: LinearOperator,
  options?: SquaredFrobeniusNormOptions,
): Promise<TraceEstimate> {
  return NORM.promised(op, options);
}
/** `squaredFrobeniusNorm` on the calling thread. */
export function squaredFrobeniusNormSync(
  op: LinearOperator,
  options?: SquaredFrobeniusNormOptions,
): TraceEstimate {
  return NORM.sync(op, options);
}

/** Of `diagonal`. */
export interface DiagonalOptions extends SolverOptions {
  /** Products with the operator; 30 by default. */
  samples?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const DIAGONAL_OPTIONS = new OptionNames<DiagonalOptions>(SAMPLING_NAMES);

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

const XDIAG = solver({ name: 'xdiag', names: EXCHANGEABLE_OPTIONS }, (_op, how) => ({
  options: exchangeable(how),
  result: (found) => found as DiagonalEstimate,
}));

/** The diagonal of a square operator by XDiag (see `xtrace`); half of the products are with its transpose. */
export async function xdiag<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: ExchangeableOptions,
): Promise<DiagonalEstimate<F>> {
  return XDIAG.promised(op, options) as Promise<DiagonalEstimate<F>>;
}
/** `xdiag` on the calling thread. */
export function xdiagSync<F extends FloatArray>(
  op: LinearOperator<F>,
  options?: ExchangeableOptions,
): DiagonalEstimate<F> {
  return XDIAG.sync(op, options) as DiagonalEstimate<F>;
}

function exchangeable({ samples = 30, seed }: ExchangeableOptions) {
  if (positive(samples, 'samples') < 4) throw outOfRange(`samples should be at least 4, got ${samples}`);
  return { samples, seed: seedOf(seed) };
}

function sampling({ samples = 30, seed }: DiagonalOptions) {
  return { samples: positive(samples, 'samples'), seed: seedOf(seed) };
}
