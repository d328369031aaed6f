/** Which rows or columns a submatrix has. */
import { types } from 'node:util';
import { checkTypedArray, describe } from '../arrays.ts';
import { outOfRange, wrongType } from '../errors.ts';
import { lengthOf, listOf } from '../foreign.ts';
import { matchingRanges, type NamedRange, type Ranges } from '../model/patterns.ts';

export type { NamedRange, Ranges };

/** A selection that no caller can change any more. */
export type ReadSelection = readonly string[] | readonly number[];

/** A copy of a list, of which each element was read once. */
export function readSelection(selection: unknown): ReadSelection {
  if (types.isInt32Array(selection) || types.isBigInt64Array(selection)) {
    checkTypedArray(selection, 'a selection');
    return Array.from({ length: lengthOf(selection) }, (_, index) => Number(selection[index]));
  }
  return listOf(selection, 'a selection') as string[] | number[];
}

/** Whether a selection is one of patterns; an empty list is. */
export function isPatterns(selection: readonly unknown[]): selection is readonly string[] {
  return typeof selection[0] !== 'number';
}

export function everything(length: number): Ranges {
  return [[0, length]];
}

/**
 * The ranges that a selection stands for among `length` elements.
 *
 * @param parameters what has a name; undefined where nothing has
 * @throws TypeError, RangeError
 */
export function rangesOf(
  selection: ReadSelection,
  parameters: readonly NamedRange[] | undefined,
  length: number,
  name: string,
): Ranges {
  if (!isPatterns(selection)) return joined(selection.map((index) => checkIndex(index, length, name)));
  if (parameters === undefined) throw outOfRange(`${name} have no names of parameters: give their numbers`);
  return matchingRanges(selection, parameters);
}

function checkIndex(index: unknown, length: number, name: string): number {
  if (typeof index !== 'number')
    throw wrongType(`${name} should be patterns or numbers, not both, got ${describe(index)}`);
  if (Number.isSafeInteger(index) && index >= 0 && index < length) return index;
  throw outOfRange(`${name} should be whole numbers from 0 to ${length - 1}, got ${index}`);
}

/** Ranges of numbers in their order, those that follow one another as one. */
function joined(indices: readonly number[]): Ranges {
  const ranges: Ranges = [];
  for (const index of indices) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === index) last[1] += 1;
    else ranges.push([index, index + 1]);
  }
  return ranges;
}

/** The names of what is within the ranges, and where it lies among that. */
export function within(parameters: readonly NamedRange[], ranges: Ranges): NamedRange[] {
  const parts: NamedRange[] = [];
  let start = 0;
  for (const [begin, end] of ranges) {
    for (const { name, offset, length } of parameters) {
      const [from, to] = [Math.max(begin, offset), Math.min(end, offset + length)];
      if (from < to) parts.push({ name, offset: start + from - begin, length: to - from });
    }
    start += end - begin;
  }
  return parts;
}
