/** Checks of what layers are given. */
import { describe } from '../../arrays.ts';
import { outOfRange, wrongType } from '../../errors.ts';
import { isList, listOf } from '../../foreign.ts';

export function size(value: unknown, name: string, least = 1): number {
  if (typeof value !== 'number') throw wrongType(`${name} should be a number, got ${describe(value)}`);
  if (!Number.isSafeInteger(value) || value < least) {
    throw outOfRange(`${name} should be a whole number of at least ${least}, got ${value}`);
  }
  return value;
}

/** A whole number, counted from the end where it is negative. */
export function axis(value: unknown, name: string): number {
  if (typeof value !== 'number') throw wrongType(`${name} should be a number, got ${describe(value)}`);
  if (!Number.isSafeInteger(value)) throw outOfRange(`${name} should be a whole number, got ${value}`);
  return value;
}

/** One size for all axes, or one for each. */
export function sizes(value: unknown, count: number, name: string, least = 1): number[] {
  if (!isList(value)) return new Array<number>(count).fill(size(value, name, least));
  const list = listOf(value, name);
  if (list.length !== count) throw outOfRange(`${name} should have ${count} sizes, got ${list.length}`);
  return list.map((each) => size(each, name, least));
}

export function finite(value: unknown, name: string): number {
  if (typeof value !== 'number') throw wrongType(`${name} should be a number, got ${describe(value)}`);
  if (!Number.isFinite(value)) throw outOfRange(`${name} should be finite, got ${value}`);
  return value;
}

export function flag(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrongType(`${name} should be true or false, got ${describe(value)}`);
  return value;
}

export function oneOf<T extends string>(value: unknown, known: readonly T[], name: string): T {
  const found = known.find((each) => each === value);
  if (found === undefined) {
    const list = known.map((each) => `'${each}'`).join(' or ');
    throw outOfRange(`${name} should be ${list}, got ${describe(value)}`);
  }
  return found;
}
