/**
 * The one checker of records that callers pass by name: options, problems, batches. Each table of names stands beside the
 * type it belongs to, and the compiler keeps the two the same.
 */
import { describe } from './arrays.ts';
import { wrongType } from './errors.ts';
import { isRevoked } from './foreign.ts';
import { nearestName } from './spelling.ts';

/** Whether the properties of an object are options, or it is a thing of its own passed in their place. */
export function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  // Those of another realm have another Object.prototype, which has no prototype either.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** An object that is no array. */
export function record(value: unknown, name: string): object {
  if (
    typeof value !== 'object' ||
    value === null ||
    isRevoked(value) ||
    Array.isArray(value) ||
    ArrayBuffer.isView(value)
  ) {
    throw wrongType(`${name} should be an object, got ${describe(value)}`);
  }
  return value;
}

/** A name for each property of `T`, so that one left out or one too many does not compile. */
export type NamesOf<T> = { readonly [Name in keyof Required<T>]: true };

/** The names that a record of type `T` may have. */
export class Names<T extends object> {
  readonly list: readonly (keyof T & string)[];
  readonly #set: ReadonlySet<string>;
  readonly #what: string;

  /** @param what what messages call the record: `options`, `problem` */
  constructor(what: string, names: NamesOf<T>) {
    this.list = Object.freeze(Object.keys(names) as (keyof T & string)[]);
    this.#set = new Set(this.list);
    this.#what = what;
  }

  /**
   * A plain copy of the record, each property of which was read once. Own properties count, and only enumerable ones:
   * what a class brings besides is not looked at. One that is `undefined` is as good as absent.
   *
   * @throws TypeError for what is no record, and for a name that is not in the table, with the nearest that is
   */
  read(value: unknown, what: string = this.#what): T {
    const given = record(value, what) as Record<string, unknown>;
    for (const name of Object.keys(given)) if (!this.#set.has(name)) throw this.#unknown(name, what);
    this.#checkRest(given, what);
    const copy: Record<string, unknown> = {};
    for (const name of this.list) {
      const property = given[name];
      if (property !== undefined) copy[name] = property;
    }
    return copy as T;
  }

  /** What `read` is seldom needed for: properties named by symbols, and other things in the place of a record. */
  #checkRest(given: object, what: string): void {
    for (const symbol of Object.getOwnPropertySymbols(given)) {
      if (Object.prototype.propertyIsEnumerable.call(given, symbol)) throw this.#unknown(symbol, what);
    }
    // A signal, a promise or a map that was passed as it is would otherwise count as a record without properties.
    if (!isPlain(given) && !this.list.some((name) => name in given)) {
      throw wrongType(`${what} should be an object with ${this.#known()}, got ${describe(given)}`);
    }
  }

  #unknown(name: string | symbol, what: string): TypeError {
    const shown = typeof name === 'symbol' ? String(name) : describe(name);
    const owner = what.replace(/^(the )?options( of )?/, '');
    const place = owner === '' ? '' : ` of ${owner}`;
    const nearest = typeof name === 'symbol' ? undefined : nearestName(name, this.list);
    const hint = nearest === undefined ? `known are ${this.#known()}` : `did you mean '${nearest}'?`;
    return wrongType(`unknown option ${shown}${place}; ${hint}`);
  }

  #known(): string {
    return this.list.join(', ');
  }
}

const NONE = Object.freeze({});

/** The names of options, all of which may be left out. */
export class OptionNames<T extends object> extends Names<T> {
  constructor(names: NamesOf<T>, what = 'options') {
    super(what, names);
  }

  override read(value: unknown, what?: string): T {
    return value === undefined ? (NONE as T) : super.read(value, what);
  }
}

/**
 * For functions that take no options: refuses a record passed where they would be. Other further arguments go unseen, as
 * is usual, so that the function can be handed to `Array.prototype.map`.
 */
export function noOptions([extra]: readonly unknown[], name: string): void {
  if (typeof extra !== 'object' || extra === null || isRevoked(extra) || Array.isArray(extra)) return;
  const [first] = Object.keys(extra);
  const what = first === undefined ? '' : `unknown option ${describe(first)}; `;
  throw wrongType(`${what}${name} takes no options`);
}
