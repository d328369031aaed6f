/** Parameters chosen by patterns of their names. */
import { describe } from '../arrays.ts';
import { outOfRange, wrongType } from '../errors.ts';

/** Elements of a flat vector that have a name. */
export interface NamedRange {
  readonly name: string;
  readonly offset: number;
  readonly length: number;
}

/** Half-open ranges of indices. */
export type Ranges = [begin: number, end: number][];

/**
 * Ranges of the flat vector that parameters with matching names take, neighbors joined. `*` in a pattern stands for any
 * letters: `'0.*'` is the first layer, `'*.bias'` are all biases.
 *
 * @throws RangeError for a pattern that no name matches, where there are names
 */
export function matchingRanges(patterns: readonly string[], parameters: readonly NamedRange[]): Ranges {
  const tests = patterns.map(toTest);
  // Where there is nothing at all, a pattern cannot be misspelled.
  if (parameters.length === 0) return [];
  patterns.forEach((pattern, i) => {
    if (!parameters.some(({ name }) => tests[i]!(name))) {
      throw outOfRange(
        `no parameter matches ${describe(pattern)}; there are ${parameters.map(({ name }) => name).join(', ')}`,
      );
    }
  });
  const ranges: Ranges = [];
  for (const { name, offset, length } of parameters) {
    if (!tests.some((test) => test(name))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === offset) last[1] += length;
    else ranges.push([offset, offset + length]);
  }
  return ranges;
}

/** Whether the parts between the stars of a pattern follow one another in a name: in time linear in both. */
function toTest(pattern: unknown): (name: string) => boolean {
  if (typeof pattern !== 'string') throw wrongType(`a pattern should be a string, got ${describe(pattern)}`);
  const [first, ...rest] = pattern.split('*') as [string, ...string[]];
  const last = rest.pop();
  if (last === undefined) return (name) => name === first;
  return (name) => {
    let at = first.length;
    if (!name.startsWith(first)) return false;
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return name.length - last.length >= at && name.endsWith(last);
  };
}
