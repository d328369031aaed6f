/** An L2 term of a loss. */
import { type DType, describe, type FloatArray, floatArray } from '../arrays.ts';
import { checkFinite } from '../check.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { isList, listOf } from '../foreign.ts';
import type { Model } from '../model/model.ts';
import { matchingRanges } from '../model/patterns.ts';
import { Names } from '../options.ts';

/** ½ λ Σ θ² over some parameters: its gradient is λ θ, as that of `weight_decay` in PyTorch, and its curvature λ I. */
export interface L2Term {
  /** λ, at least 0. */
  weight: number;
  /** Patterns of their names, as `'*.weight'`; all of them by default. */
  parameters?: string | readonly string[];
}

const NAMES = new Names<L2Term>('problem.l2', { weight: true, parameters: true });

/** λ of each parameter, flat; where terms overlap, their sum. */
export function l2Vector(given: number | L2Term | readonly L2Term[], model: Model, dtype: DType): FloatArray {
  const terms: unknown[] = isList(given) ? listOf(given, 'problem.l2') : [given];
  const flat = floatArray(dtype, model.parameterCount);
  for (const term of terms) add(term, flat, model, dtype);
  return flat;
}

function add(term: unknown, flat: FloatArray, model: Model, dtype: DType): void {
  const { weight, parameters = '*' }: L2Term = typeof term === 'number' ? { weight: term } : NAMES.read(term);
  if (checkFinite(weight, 'problem.l2', dtype) < 0)
    throw outOfRange(`problem.l2 should not be negative, got ${weight}`);
  if (typeof parameters !== 'string' && !isList(parameters)) {
    throw wrongType(
      `problem.l2.parameters should be a pattern or a list of them, got ${describe(parameters)}`,
    );
  }
  const patterns =
    typeof parameters === 'string' ? [parameters] : listOf(parameters, 'problem.l2.parameters');
  for (const [begin, end] of matchingRanges(patterns as string[], model.parameters)) {
    for (let i = begin; i < end; i++) flat[i]! += weight;
  }
}
