/**
 * Parses a large JSON text in pieces, between which the event loop takes its reading. A first pass finds the lists and
 * objects that are larger than a piece; a second one gives what lies between them to `JSON.parse`, which checks it.
 */
import type { Reading } from './reading.ts';

/** Bytes that are parsed at once, if they hold no larger list or object. */
const PIECE = 2 ** 15;
/** Graphs of models are a dozen levels deep. */
const DEEPEST = 1000;

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];

/** @throws SyntaxError */
export async function parseInPieces(bytes: Uint8Array, reading: Reading): Promise<unknown> {
  return new Parser(bytes, reading).parse();
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
}

class Parser {
  readonly #bytes: Uint8Array;
  readonly #reading: Reading;
  /** The last byte of each list and object that is larger than a piece, by its first. */
  readonly #large = new Map<number, number>();

  constructor(bytes: Uint8Array, reading: Reading) {
    this.#bytes = bytes;
    this.#reading = reading;
  }

  async parse(): Promise<unknown> {
    await this.#measure();
    const begin = this.#afterBlanks(0);
    const last = this.#large.get(begin);
    if (last === undefined) return JSON.parse(decode(this.#bytes));
    if (this.#afterBlanks(last + 1) !== this.#bytes.length) throw wrong(last + 1);
    return this.#container(begin, last);
  }

  async #measure(): Promise<void> {
    const bytes = this.#bytes;
    const open: number[] = [];
    const deepest = this.#reading.nesting(DEEPEST);
    let pause = PIECE;
    for (let at = 0; at < bytes.length; ++at) {
      const byte = bytes[at];
      if (byte === QUOTE) {
        at = this.#endOfString(at);
      } else if (byte === OPEN_LIST || byte === OPEN_OBJECT) {
        open.push(at);
        if (open.length > deepest) throw new SyntaxError(`more than ${deepest} levels of nesting`);
      } else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) {
        const begin = open.pop();
        if (begin === undefined || bytes[begin] !== byte - 2) throw wrong(at);
        if (at - begin > PIECE) this.#large.set(begin, at);
      }
      if (at < pause) continue;
      pause = at + PIECE;
      await this.#reading.pass();
    }
    if (open.length > 0) throw wrong(bytes.length);
  }

  /** A list or an object that is larger than a piece. */
  async #container(begin: number, last: number): Promise<unknown> {
    const isList = this.#bytes[begin] === OPEN_LIST;
    const [opening, closing] = isList ? ['[', ']'] : ['{', '}'];
    const list: unknown[] = [];
    const object: Record<string, unknown> = {};
    const add = (key: string, value: unknown) => {
      // An assignment to `__proto__` would be none.
      Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
    };
    /** Adds the entries between two places, which end before a comma or the end. */
    const addEntries = (from: number, to: number) => {
      const part = JSON.parse(opening + decode(this.#bytes.subarray(from, to)) + closing);
      const entries = Object.entries(part);
      if (entries.length === 0) throw wrong(from); // nothing between two commas
      for (const [key, value] of entries) {
        if (isList) list.push(value);
        else add(key, value);
      }
    };
    let at = begin + 1;
    let pending = at; // where the entries begin that were not added yet
    for (;;) {
      const entry = at;
      const value = isList ? this.#afterBlanks(at) : this.#valueOf(at);
      const end = this.#large.get(value);
      if (end !== undefined) {
        // What lies before it ends with its comma.
        if (entry > pending) addEntries(pending, entry - 1);
        const content = await this.#container(value, end);
        if (isList) list.push(content);
        else add(JSON.parse(decode(this.#bytes.subarray(at, value)).replace(/:\s*$/, '')) as string, content);
        at = this.#afterBlanks(end + 1);
        if (at !== last && this.#bytes[at] !== COMMA) throw wrong(at);
        pending = at + 1;
      } else {
        at = this.#endOfEntry(at, last);
        if (at === last || at - pending > PIECE) {
          addEntries(pending, at);
          pending = at + 1;
          await this.#reading.pass();
        }
      }
      if (at === last) return isList ? list : object;
      at += 1;
    }
  }

  /** Where the value of a member begins whose name begins at `at` or after blanks. */
  #valueOf(at: number): number {
    const name = this.#afterBlanks(at);
    if (this.#bytes[name] !== QUOTE) throw wrong(name);
    const colon = this.#afterBlanks(this.#endOfString(name) + 1);
    if (this.#bytes[colon] !== COLON) throw wrong(colon);
    return this.#afterBlanks(colon + 1);
  }

  /** The comma after an entry, or `last`, the end of its list or object. */
  #endOfEntry(at: number, last: number): number {
    const bytes = this.#bytes;
    let depth = 0;
    for (; at < last; ++at) {
      const byte = bytes[at];
      if (byte === QUOTE) at = this.#endOfString(at);
      else if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth += 1;
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth -= 1;
      else if (byte === COMMA && depth === 0) return at;
    }
    return last;
  }

  /** The closing quote of the string that begins at `at`. */
  #endOfString(at: number): number {
    const bytes = this.#bytes;
    for (let end = at + 1; end < bytes.length; ++end) {
      if (bytes[end] === BACKSLASH) end += 1;
      else if (bytes[end] === QUOTE) return end;
    }
    throw wrong(bytes.length);
  }

  #afterBlanks(at: number): number {
    const bytes = this.#bytes;
    while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at += 1;
    return at;
  }
}

function wrong(at: number): SyntaxError {
  return new SyntaxError(`unexpected text at byte ${at}`);
}
