/** Values of callers, which may be anything: Proxies that were revoked, arrays that lie about themselves, foreign objects. */
import { types } from 'node:util';
import { outOfRange, wrongType } from './errors.ts';

/** A list that a caller passed has no more entries: none is meant to, and going through them takes a while. */
const MOST_ENTRIES = 100_000;

/**
 * A copy of a list, of which the length and each entry were read once.
 *
 * @throws TypeError for what is no list, RangeError for more than `most` entries
 */
export function listOf(value: unknown, name: string, what = 'a list', most = MOST_ENTRIES): unknown[] {
  if (!isList(value)) throw wrongType(`${name} should be ${what}, got ${describe(value)}`);
  const length: unknown = value.length;
  if (!Number.isSafeInteger(length) || (length as number) < 0 || (length as number) > most)
    throw outOfRange(`${name} should have at most ${most} entries, got ${describe(length)}`);
  return Array.from({ length: length as number }, (_, index) => value[index] as unknown);
}

/** `Array.isArray`, which throws for a revoked Proxy. */
export function isList(value: unknown): value is readonly unknown[] {
  return !isRevoked(value) && Array.isArray(value);
}

/** @throws TypeError where to wait for what a caller's function gave would be an error of the language */
export function checkAwaitable<T>(value: T, name: string): T {
  if (isRevoked(value)) throw wrongType(`${name} should be of use, got ${describe(value)}`);
  return value;
}

/** Whether any use of the value would throw an error of the language. */
export function isRevoked(value: unknown): boolean {
  if (!types.isProxy(value)) return false;
  try {
    // Looks at the target alone, and calls nothing of the caller's; compared, as bundlers drop what seems to do nothing.
    return Array.isArray(value) === undefined;
  } catch {
    return true;
  }
}

const getter = (name: string | symbol) =>
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Int8Array.prototype), name)!.get!;
const [length, buffer, offset] = [getter('length'), getter('buffer'), getter('byteOffset')];
const kind = getter(Symbol.toStringTag);

/** The length that a typed array has, whatever a property of its own says. */
export function lengthOf(view: ArrayBufferView): number {
  return length.call(view) as number;
}

/** Likewise the memory that it is a view of. */
export function bufferOf(view: ArrayBufferView): ArrayBufferLike {
  return buffer.call(view) as ArrayBufferLike;
}

/** Likewise the name of its kind: `Float32Array`. */
export function kindOf(view: ArrayBufferView): string {
  return kind.call(view) as string;
}

/** Likewise the bytes of its elements, in place. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  const length = lengthOf(view);
  if (length === 0) return new Uint8Array(); // its buffer may be detached
  const size = /64/.test(kindOf(view)) ? 8 : /32/.test(kindOf(view)) ? 4 : 1;
  return new Uint8Array(bufferOf(view), offset.call(view) as number, size * length);
}

/** A value as an error message shows it: its kind, and its content where that is short. */
export function describe(value: unknown): string {
  if (value === null || value === undefined || typeof value === 'boolean') return String(value);
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${value}`;
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`;
  if (typeof value === 'function') return 'a function';
  if (isRevoked(value)) return 'a Proxy that was revoked';
  if (types.isProxy(value)) return 'a Proxy';
  if (types.isTypedArray(value)) return `a ${value[Symbol.toStringTag]} of length ${lengthOf(value)}`;
  if (ArrayBuffer.isView(value)) return 'a DataView';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === 'object' ? `an object (${classOf(value) ?? 'no prototype'})` : typeof value;
}

/** The name of the class that an object says it is of, without running code of the caller's. */
function classOf(value: object): string | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (typeof prototype !== 'object' || prototype === null || types.isProxy(prototype)) return undefined;
  const made: unknown = Object.getOwnPropertyDescriptor(prototype, 'constructor')?.value;
  if (typeof made !== 'function' || types.isProxy(made)) return undefined;
  const name: unknown = Object.getOwnPropertyDescriptor(made, 'name')?.value;
  return typeof name === 'string' ? name : undefined;
}
