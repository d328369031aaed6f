/** What all solvers and estimators take. */

import { type Operation, operation } from '../addon/operation.ts';
import type { RawSolverOption } from '../addon/operators.ts';
import type { DType } from '../arrays.ts';
import { checkFinite, checkSignal, positive, wholeNumber } from '../check.ts';
import { outOfRange, TorchCurvatureError } from '../errors.ts';
import { toSeed } from '../model/generator.ts';
import {
  checkOperator,
  checkSquare,
  describeOperator,
  type LinearOperator,
  togetherOf,
} from '../operators/linear-operator.ts';
import type { OptionNames } from '../options.ts';

export interface SolverOptions {
  /** Intra-op threads. */
  threads?: number;
  /** Stops between products; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** What a solver asks the addon beside what all of them do; the rest is that of `Asked`. */
interface Own<Result> {
  options: { [option: string]: RawSolverOption };
  result: (found: object) => Result;
  heard?: () => Promise<unknown> | undefined;
  thrown?: () => { error: unknown } | undefined;
  release?: () => void;
}

/**
 * A solver or an estimator of operators, by a method of native/core/solvers.
 *
 * @param name what messages call it
 * @param row its row there, by default of that name
 * @param names of its options
 * @param rectangular whether operators need not be square
 * @param ask checks what is its own, once the operator and the options that all solvers have were checked
 */
export function solver<Options extends SolverOptions, Rest extends unknown[], Result>(
  {
    name,
    row = name,
    names,
    rectangular = false,
  }: { name: string; row?: string; names: OptionNames<Options>; rectangular?: boolean },
  ask: (op: LinearOperator, options: Options, ...rest: Rest) => Own<Result>,
): Operation<[op: LinearOperator, options: Options | undefined, ...rest: Rest], Result> {
  return operation((op, options, ...rest) => {
    const read = names.read(options);
    if (rectangular) checkOperator(op, 'op');
    else checkSquare(op, name);
    const { threads, signal } = read;
    const common = {
      operator: op.handle,
      threads: threads === undefined ? 0 : positive(threads, 'threads', 1024),
    };
    const checked = checkSignal(signal);
    const { options: own, ...how } = ask(op, read, ...rest);
    return {
      name: 'solve',
      together: op.together,
      announced: row,
      request: { ...own, ...common, solver: row },
      signal: checked,
      describe: () => describeOperator(op),
      ...how,
    };
  }, togetherOf);
}

/** Throws unless the operator has at least one row; what `name` gives would be undefined. */
export function checkNotEmpty({ shape }: LinearOperator, name: string): void {
  if (shape[0] > 0) return;
  throw new TorchCurvatureError(
    'ERR_SHAPE_MISMATCH',
    `${name} needs an operator with at least one row, got [0, 0], which has no eigenvalues`,
  );
}

export function optionalCount(value: unknown, name: string): number | undefined {
  return value === undefined ? undefined : positive(value, name);
}

/** A whole number of at least 0, or none. */
export function optionalLimit(value: unknown, name: string): number | undefined {
  return value === undefined ? undefined : wholeNumber(value, name, 0);
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
export function checkPositive(value: unknown, name: string, dtype?: DType): number {
  const checked = checkFinite(value, name, dtype);
  if (checked <= 0) throw outOfRange(`${name} should be above 0, got ${checked}`);
  return checked;
}
