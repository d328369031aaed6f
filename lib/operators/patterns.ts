import { describe } from '../arrays.ts';
import { outOfRange, wrongType } from '../errors.ts';
import type { Parameter } from '../model/model.ts';

/**
 * Ranges of the flat vector that parameters with matching names take, neighbors joined. `*` in a pattern stands for any
 * letters: `'0.*'` is the first layer, `'*.bias'` are all biases.
 *
 * @throws RangeError for a pattern that no name matches, where there are names
 */
export function matchingRanges(
  patterns: readonly string[],
  parameters: readonly Parameter[],
): [number, number][] {
  if (!Array.isArray(patterns)) throw wrongType(`patterns should be a list, got ${describe(patterns)}`);
  const tests = patterns.map(toTest);
  // Where there is nothing at all, a pattern cannot be misspelled.
  if (parameters.length === 0) return [];
  patterns.forEach((pattern, i) => {
    if (!parameters.some(({ name }) => tests[i]!.test(name))) {
      throw outOfRange(
        `no parameter matches '${pattern}'; there are ${parameters.map(({ name }) => name).join(', ')}`,
      );
    }
  });
  const ranges: [number, number][] = [];
  for (const { name, offset, length } of parameters) {
    if (!tests.some((test) => test.test(name))) continue;
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === offset) last[1] += length;
    else ranges.push([offset, offset + length]);
  }
  return ranges;
}

function toTest(pattern: unknown): RegExp {
  if (typeof pattern !== 'string') throw wrongType(`a pattern should be a string, got ${describe(pattern)}`);
  const escaped = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`);
}
