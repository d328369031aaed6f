/**
 * Reads the pickles that `torch.save` writes for state dicts. A pickle is a program for a stack machine that may call
 * any function; this machine knows the few that make tensors and dictionaries and refuses all others, so nothing in a
 * file is run.
 */
import { damaged } from './failure.ts';
import type { Reading } from './reading.ts';

/** A function or class that the pickle names. */
export class Global {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** What the pickle's calls stand for. */
export interface PickleHandlers {
  /** A storage, from the tuple that identifies it. */
  persistent(id: unknown): unknown;
  call(name: string, args: readonly unknown[]): unknown;
}

const MARK = Symbol('mark');

/** How deep lists, tuples and dictionaries may be in one another: those of real models are a few levels deep. */
const DEEPEST = 200;

export function unpickle(bytes: Uint8Array, handlers: PickleHandlers, reading: Reading): unknown {
  return new Machine(bytes, handlers, reading.nesting(DEEPEST)).run();
}

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #handlers: PickleHandlers;
  readonly #deepest: number;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  /** Levels of containers inside a container, and which ones lie in another: those must not change any more. */
  readonly #depths = new WeakMap<object, number>();
  readonly #contained = new WeakSet<object>();
  #position = 0;

  constructor(bytes: Uint8Array, handlers: PickleHandlers, deepest: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#handlers = handlers;
    this.#deepest = deepest;
  }

  run(): unknown {
    for (;;) {
      const opcode = String.fromCharCode(this.#bytes[this.#advance(1)]!);
      if (opcode === '.') return this.#pop();
      this.#step(opcode);
    }
  }

  #step(opcode: string): void {
    const stack = this.#stack;
    switch (opcode) {
      case '\x80': // protocol
        this.#advance(1);
        break;
      case '(':
        stack.push(MARK);
        break;
      case '}':
        stack.push(new Map());
        break;
      case ']':
        stack.push([]);
        break;
      case ')':
        stack.push([]);
        break;
      case 'N':
        stack.push(null);
        break;
      case '\x88':
        stack.push(true);
        break;
      case '\x89':
        stack.push(false);
        break;
      case 'K':
        stack.push(this.#bytes[this.#advance(1)]);
        break;
      case 'M':
        stack.push(this.#view.getUint16(this.#advance(2), true));
        break;
      case 'J':
        stack.push(this.#view.getInt32(this.#advance(4), true));
        break;
      case '\x8a':
        stack.push(this.#long());
        break;
      case 'G':
        stack.push(this.#view.getFloat64(this.#advance(8)));
        break;
      case 'X':
        stack.push(this.#text(this.#view.getUint32(this.#advance(4), true)));
        break;
      case 'c':
        stack.push(new Global(`${this.#line()}.${this.#line()}`));
        break;
      case 'q':
        this.#memo.set(this.#bytes[this.#advance(1)]!, this.#top());
        break;
      case 'r':
        this.#memo.set(this.#view.getUint32(this.#advance(4), true), this.#top());
        break;
      case 'h':
        this.#recall(this.#bytes[this.#advance(1)]!);
        break;
      case 'j':
        this.#recall(this.#view.getUint32(this.#advance(4), true));
        break;
      case 't':
        stack.push(this.#tuple(this.#sinceMark()));
        break;
      case '\x85':
      case '\x86':
      case '\x87':
        stack.push(this.#tuple(this.#popMany(opcode.charCodeAt(0) - 0x84)));
        break;
      case 'a':
        this.#append(this.#popMany(1));
        break;
      case 'e':
        this.#append(this.#sinceMark());
        break;
      case 's':
        this.#setItems(this.#popMany(2));
        break;
      case 'u':
        this.#setItems(this.#sinceMark());
        break;
      case 'Q':
        stack.push(this.#handlers.persistent(this.#pop()));
        break;
      case '\x81': // an object of a class
      case 'R': {
        const [callee, args] = this.#popMany(2);
        if (!(callee instanceof Global)) throw this.#wrong('a call of no function');
        // TorchScript calls an Enum with its value, and not with a tuple of it.
        stack.push(this.#handlers.call(callee.name, Array.isArray(args) ? args : [args]));
        break;
      }
      case 'b': // the attributes of an object, which state dicts carry only for versioning
        this.#pop();
        break;
      default:
        throw this.#wrong(`an unknown instruction 0x${opcode.charCodeAt(0).toString(16)}`);
    }
  }

  #advance(count: number): number {
    const start = this.#position;
    this.#position += count;
    if (this.#position > this.#bytes.length) throw this.#wrong('no end');
    return start;
  }

  #text(length: number): string {
    const start = this.#advance(length);
    return new TextDecoder().decode(this.#bytes.subarray(start, start + length));
  }

  #line(): string {
    const end = this.#bytes.indexOf(0x0a, this.#position);
    if (end < 0) throw this.#wrong('no end');
    const line = this.#text(end - this.#position);
    this.#advance(1);
    return line;
  }

  /** A little-endian integer of any length; those that are no safe integers end as such in the checks of the reader. */
  #long(): number {
    const length = this.#bytes[this.#advance(1)]!;
    const start = this.#advance(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; --i) value = (value << 8n) | BigInt(this.#bytes[start + i]!);
    return Number(BigInt.asIntN(8 * length, value));
  }

  #top(): unknown {
    if (this.#stack.length === 0) throw this.#wrong('an empty stack');
    return this.#stack.at(-1);
  }

  #pop(): unknown {
    const value = this.#top();
    if (value === MARK) throw this.#wrong('a misplaced mark');
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): unknown[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #sinceMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#wrong('no mark');
    const items = this.#stack.splice(mark);
    return items.slice(1);
  }

  #tuple(items: unknown[]): unknown[] {
    this.#hold(items, items);
    return items;
  }

  #append(items: readonly unknown[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#wrong('an item for no list');
    this.#hold(list, items);
    for (const item of items) list.push(item);
  }

  /** Refuses what nests deeper than the stacks of those who walk it, libtorch among them, or lies in itself. */
  #hold(container: object, items: readonly unknown[]): void {
    if (this.#contained.has(container)) throw this.#wrong('a container that changes inside another');
    let depth = this.#depths.get(container) ?? 1;
    for (const item of items) {
      if (typeof item !== 'object' || item === null) continue;
      if (item === container) throw this.#wrong('a container that lies in itself');
      this.#contained.add(item);
      depth = Math.max(depth, 1 + (this.#depths.get(item) ?? 0));
    }
    if (depth > this.#deepest) throw this.#wrong(`more than ${this.#deepest} containers inside one another`);
    this.#depths.set(container, depth);
  }

  #setItems(items: unknown[]): void {
    const target = this.#top();
    if (!(target instanceof Map) || items.length % 2 !== 0) throw this.#wrong('an item for no dictionary');
    this.#hold(target, items);
    for (let i = 0; i < items.length; i += 2) target.set(items[i], items[i + 1]);
  }

  #recall(key: number): void {
    if (!this.#memo.has(key)) throw this.#wrong('a reference to nothing');
    this.#stack.push(this.#memo.get(key));
  }

  #wrong(reason: string) {
    return damaged(`a pickle has ${reason}`);
  }
}
