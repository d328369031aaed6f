/** What all solvers and estimators take. */

import type { OperatorHandle } from '../addon/requests.ts';
import { checkFinite, checkSignal, positive } from '../check.ts';
import { outOfRange, TorchCurvatureError } from '../errors.ts';
import { toSeed } from '../model/generator.ts';
import { checkSquare, type LinearOperator } from '../operators/linear-operator.ts';

export interface SolverOptions {
  /** Intra-op threads. */
  threads?: number;
  /** Stops between products; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** The part of a request that every solver has. */
export function solverRequest(
  name: string,
  op: LinearOperator,
  { threads, signal }: SolverOptions,
): {
  request: { operator: OperatorHandle; threads: number };
  signal: AbortSignal | undefined;
  describe: () => object;
} {
  checkSquare(op, name);
  const { device, dtype, shape } = op;
  return {
    request: { operator: op.handle, threads: threads === undefined ? 0 : positive(threads, 'threads', 1024) },
    signal: checkSignal(signal),
    describe: () => ({ device, dtype, shape }),
  };
}

/** Throws unless the operator has at least one row; what `name` gives would be undefined. */
export function checkNotEmpty({ shape }: LinearOperator, name: string): void {
  if (shape[0] > 0) return;
  throw new TorchCurvatureError(
    'ERR_SHAPE_MISMATCH',
    `${name} needs an operator with at least one row, got [0, 0], which has no eigenvalues`,
  );
}

/** Fields of the options that are given, each checked; the others are left to their defaults. */
export function given<T extends object>(fields: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}

export function optionalCount(value: unknown, name: string): number | undefined {
  return value === undefined ? undefined : positive(value, name);
}

/** A whole number of at least 0, or none. */
export function optionalLimit(value: unknown, name: string): number | undefined {
  if (value === undefined || value === 0) return value;
  if (typeof value === 'number' && !(Number.isSafeInteger(value) && value > 0))
    throw outOfRange(`${name} should be a whole number of at least 0, got ${value}`);
  return positive(value, name);
}

/** A number of at least 0, or none. */
export function optionalAmount(value: unknown, name: string): number | undefined {
  if (value === undefined) return undefined;
  if (checkFinite(value, name) < 0) throw outOfRange(`${name} should be at least 0, got ${value}`);
  return value as number;
}

export function seedOf(value: number | bigint | undefined): bigint {
  return toSeed(value ?? 0);
}

/** A number above 0. */
export function checkPositive(value: unknown, name: string): number {
  const checked = checkFinite(value, name);
  if (checked <= 0) throw outOfRange(`${name} should be above 0, got ${checked}`);
  return checked;
}
