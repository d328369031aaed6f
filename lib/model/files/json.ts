/** Reads JSON of others: every access says what is missing instead of giving `undefined`. */
import { damaged } from './failure.ts';
import { parseInPieces } from './json-pieces.ts';
import type { Reading } from './reading.ts';

/** Bytes of parsed JSON for each byte of text, where it is all empty objects: `{},`. */
const PARSED = 20;

export type Json = Record<string, unknown>;

export async function parseJson(bytes: Uint8Array, name: string, reading: Reading): Promise<Json> {
  reading.take(PARSED * bytes.length, name);
  try {
    return asObject(await parseInPieces(bytes, reading), name);
  } catch (error) {
    throw damaged(`${name} is no valid JSON: ${(error as Error).message}`, error);
  }
}

export function asObject(value: unknown, name: string): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(name, 'an object');
  return value as Json;
}

export function asList(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) throw wrong(name, 'a list');
  return value;
}

export function asString(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrong(name, 'a string');
  return value;
}

/** A whole number of at least 0. */
export function asCount(value: unknown, name: string): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw wrong(name, 'a whole number of at least 0');
  return value as number;
}

/** The one entry of a tagged union such as `{ "as_tensor": { … } }`. */
export function tagged(value: unknown, name: string): [tag: string, content: unknown] {
  const entries = Object.entries(asObject(value, name));
  if (entries.length !== 1) throw wrong(name, 'an object with one entry');
  return entries[0]!;
}

function wrong(name: string, expected: string) {
  return damaged(`${name} should be ${expected}`);
}
