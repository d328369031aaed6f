/** Values that nobody means to pass, some made from the valid one in whose place they stand. */
import { runInNewContext } from 'node:vm';

/** Thrown by what the fuzzer passes; it should come out as it is. */
export class Sentinel {}

/** What a hostile value is made from, and may do. */
export interface Surroundings {
  /** The valid value. */
  valid: unknown;
  /** Takes the memory of every array of the call away. */
  detachAll(): void;
  /** Ends what the method is called on, and what was passed. */
  disposeAll(): void;
}

type AnyFunction = (...args: unknown[]) => unknown;

/** Does something before it gives a value. */
function after<T>(act: () => void, value: T): T {
  act();
  return value;
}

const raise = (): never => {
  throw new Sentinel();
};

const NUMBERS = [
  0, -0, 1, 2, 3, -1, 0.5, Number.NaN, Infinity, -Infinity, 5e-324, 1e-30, 1e30, 1e308,
  2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 63, -(2 ** 63),
]; // biome-ignore format: a table
const PLAIN: readonly unknown[] = [
  ...NUMBERS,
  0n,
  1n,
  -1n,
  2n ** 64n,
  2n ** 200n,
  undefined,
  null,
  true,
  false,
  '',
  'nonsense',
  'cpu',
  'cuda',
  'cuda:99',
  'auto',
  'fused',
  'autograd',
  'mse',
  'cross_entropy',
  'bce_with_logits',
  'output',
  'float64',
  '__proto__',
  'constructor',
  '\0',
  '\ud800',
  '%s',
  'x'.repeat(100_000),
  '*',
  '**.*',
];

type Make = (around: Surroundings) => unknown;

/** An object with a `then` that is no promise's. */
const thenable = (then: AnyFunction): object => Object.fromEntries([['then', then]]);

/** Objects that are no valid value of anything. */
const STRANGE: Readonly<Record<string, Make>> = {
  symbol: () => Symbol('strange'),
  object: () => ({}),
  list: () => [],
  'sparse list': () => new Array(3),
  'huge sparse list': () => new Array(2 ** 32 - 1),
  'list of lists': () => [[], [[]]],
  'nested list': () => Array.from({ length: 1000 }).reduce((inner) => [inner], []),
  'no prototype': () => Object.create(null),
  'constructor null': () => ({ constructor: null }),
  'constructor throws': () => Object.defineProperty({}, 'constructor', { get: raise }),
  'constructor without name': () => ({ constructor: { name: { toString: raise } } }),
  frozen: () => Object.freeze({}),
  function: () => () => 1,
  class: () => class {},
  date: () => new Date(Number.NaN),
  map: () => new Map([[1, 2]]),
  'regular expression': () => /x/,
  promise: () => Promise.resolve(1),
  thenable: () => thenable((resolve) => (resolve as AnyFunction)(1)),
  'thenable that throws': () => thenable(raise),
  'toString throws': () => ({ toString: raise, valueOf: raise, [Symbol.toPrimitive]: raise, toJSON: raise }),
  'boxed number': () => Object(2),
  'boxed string': () => Object('cpu'),
  'aborted signal': () => AbortSignal.abort(new Sentinel()),
  'signal without a reason': () => ({
    aborted: true,
    addEventListener() {},
    removeEventListener() {},
    throwIfAborted() {},
  }),
  'signal that throws': () => ({ aborted: false, addEventListener: raise, throwIfAborted: raise }),
  'array buffer': () => new ArrayBuffer(8),
  'data view': () => new DataView(new ArrayBuffer(8)),
  bytes: () => Uint8Array.of(0x50, 0x4b, 3, 4),
  'revoked proxy': () => revoked({}),
  'revoked list': () => revoked([]),
  'revoked function': () => revoked(() => 1),
  'proxy that throws': () => new Proxy({}, throwing()),
  'list that throws': () => new Proxy([], throwing()),
  error: () => new Error('strange'),
  'foreign object': () => runInNewContext('({})'),
  'foreign list': () => runInNewContext('[1, 2]'),
};

function revoked(target: object) {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function throwing(): ProxyHandler<object> {
  return new Proxy({}, { get: () => raise });
}

type View = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array;
type ViewType = new (source: number | ArrayLike<number> | ArrayBufferLike, ...rest: number[]) => View;
const isView = (value: unknown): value is View => ArrayBuffer.isView(value) && !(value instanceof DataView);
const typeOf = (view: View) => Object.getPrototypeOf(view).constructor as ViewType;
const lying = (view: View, name: string, value: unknown) => Object.defineProperty(view, name, { value });

/** Arrays that are not what they were. */
const ARRAYS: Readonly<Record<string, (view: View, around: Surroundings) => unknown>> = {
  empty: (view) => new (typeOf(view))(0),
  longer: (view) => new (typeOf(view))(view.length + 1),
  shorter: (view) => view.subarray(1),
  'of float64': (view) => Float64Array.from(view as Float32Array),
  'of float32': (view) => Float32Array.from(view as Float32Array),
  'of int32': (view) => new Int32Array(view.length),
  'of int64': (view) => new BigInt64Array(view.length),
  'of bytes': (view) => new Uint8ClampedArray(view.length),
  'a list': (view) => [...view],
  'not numbers': (view) => view.fill(Number.NaN as never),
  infinite: (view) => view.fill(Infinity as never),
  detached: (view) =>
    after(() => structuredClone(view.buffer, { transfer: [view.buffer as ArrayBuffer] }), view),
  shared: (view) => inBuffer(view, new SharedArrayBuffer(view.byteLength)),
  resizable: (view) => inBuffer(view, resizable(view.byteLength, view.byteLength)),
  'resized below': (view) => {
    const buffer = resizable(view.byteLength, view.byteLength + 64);
    const grown = inBuffer(view, buffer);
    resize(buffer, 0);
    return grown;
  },
  'grows when looked at': (view) => {
    const buffer = resizable(view.byteLength, view.byteLength + 4096);
    const grown = new (typeOf(view))(buffer);
    return Object.defineProperty(grown, 'constructor', {
      get: () => after(() => resize(buffer, view.byteLength + 4096), typeOf(view)),
    });
  },
  'inside a buffer': (view) => inBuffer(view, new ArrayBuffer(view.byteLength + 64), view.BYTES_PER_ELEMENT),
  foreign: (view) => runInNewContext(`new ${typeOf(view).name}(${view.length})`),
  'of a subclass': (view) => new (class extends (typeOf(view) as typeof Float32Array) {})(view.length),
  'long by its word': (view) => lying(view, 'length', 2 ** 20),
  'short by its word': (view) => lying(new (typeOf(view))(2 ** 12), 'length', view.length),
  'length throws': (view) => Object.defineProperty(view, 'length', { get: raise }),
  'length detaches': (view, { detachAll }) =>
    Object.defineProperty(view, 'length', {
      get: () => after(detachAll, 9),
    }),
  'buffer of another': (view) => lying(view, 'buffer', new ArrayBuffer(0)),
  'slices to less': (view) =>
    lying(
      lying(view, 'slice', () => new (typeOf(view))(0)),
      'subarray',
      () => null,
    ),
  'no constructor': (view) => lying(view, 'constructor', null),
  'no prototype': (view) => Object.setPrototypeOf(view, null),
  'prototype of a list': (view) => Object.setPrototypeOf(view, Array.prototype),
  'in a proxy': (view) => new Proxy(view, {}),
  'a list in name': (view) => ({
    __proto__: typeOf(view).prototype,
    length: view.length,
    buffer: view.buffer,
  }),
};

function inBuffer(view: View, buffer: ArrayBufferLike, offset = 0): View {
  const copy = new (typeOf(view))(buffer, offset, view.length);
  copy.set(view as never);
  return copy;
}

function resize(buffer: ArrayBuffer, length: number): void {
  (buffer as unknown as { resize(length: number): void }).resize(length);
}

function resizable(length: number, maxByteLength: number): ArrayBuffer {
  return new (ArrayBuffer as unknown as new (length: number, options: object) => ArrayBuffer)(length, {
    maxByteLength,
  });
}

type Dictionary = Record<PropertyKey, unknown>;

/** Records and lists that are not what they were. */
const OBJECTS: Readonly<Record<string, (object: Dictionary, around: Surroundings) => unknown>> = {
  'no prototype': (object) => Object.assign(Object.create(null), object),
  'constructor null': (object) => ({ ...object, constructor: null }),
  'of a class': (object) => Object.assign(new (class Own {})(), object),
  'inherits everything': (object) => Object.create(object),
  frozen: (object) => Object.freeze(object),
  'in a proxy': (object) => new Proxy(object, {}),
  'in a proxy that throws': (object) => new Proxy(object, throwing()),
  'in a revoked proxy': (object) => revoked(object),
  'in a proxy without keys': (object) =>
    new Proxy({}, { get: (_, key) => object[key], ownKeys: () => [], has: () => false }),
  'other at each look': (object) => {
    let looks = 0;
    return new Proxy(copied(object), { get: (_, key) => (looks++ % 2 === 0 ? object[key] : undefined) });
  },
  'long by its word': (object) =>
    new Proxy(copied(object), { get: (_, key) => (key === 'length' ? 2 ** 20 : object[key]) }),
  'getters that throw': (object) => withGetters(object, () => raise()),
  'getters that detach': (object, { detachAll }) => withGetters(object, (value) => after(detachAll, value)),
  'getters that dispose': (object, { disposeAll }) =>
    withGetters(object, (value) => after(disposeAll, value)),
  'getters that change': (object) =>
    withGetters(object, (value, look) => (look === 0 || typeof value !== 'number' ? value : value * 2 ** 20)),
  'shapes that change': (object) =>
    withGetters(object, (value, look) => (look > 0 && Array.isArray(value) ? [...value, 2 ** 20] : value)),
  'unknown name': (object) => ({ ...object, nonsense: 1 }),
  'symbol for a name': (object) => ({ ...object, [Symbol('nonsense')]: 1 }),
  'with then': (object) => Object.assign(thenable(raise), object),
  foreign: (object) => Object.assign(runInNewContext('({})') as object, object),
  'a list': (object) => Object.values(object),
  'its first entry': (object) => Object.fromEntries(Object.entries(object).slice(0, 1)),
  'without its first entry': (object) => Object.fromEntries(Object.entries(object).slice(1)),
  twice: (object) => (Array.isArray(object) ? [...object, ...object] : object),
};

/** A copy that nothing was said of that its Proxy would have to keep to. */
function copied(object: Dictionary): Dictionary {
  return (Array.isArray(object) ? [...object] : { ...object }) as Dictionary;
}

function withGetters(object: Dictionary, get: (value: unknown, look: number) => unknown): object {
  const copy = (Array.isArray(object) ? [] : {}) as object;
  for (const [key, value] of Object.entries(object)) {
    let looks = 0;
    Object.defineProperty(copy, key, {
      enumerable: true,
      configurable: true,
      get: () => get(value, looks++),
    });
  }
  return copy;
}

/** Functions of the caller's that do what they should not. */
const FUNCTIONS: Readonly<Record<string, (around: Surroundings) => (...args: unknown[]) => unknown>> = {
  throws: () => raise,
  rejects: () => async () => raise(),
  'gives undefined': () => () => undefined,
  'gives a symbol': () => () => Symbol('strange'),
  'gives false': () => () => false,
  'gives a short array': () => () => new Float32Array(1),
  'gives the other precision': () => (vectors) => (isView(vectors) ? new Float64Array(vectors.length) : 1),
  'gives integers': () => (vectors) => (isView(vectors) ? new Int32Array(vectors.length) : 1),
  'gives not a number': () => (vectors) => (isView(vectors) ? vectors.fill(Number.NaN as never) : Number.NaN),
  'gives a detached array': () => (vectors) =>
    isView(vectors) ? ARRAYS.detached!(vectors, null as never) : null,
  'gives a long array by its word': () => (vectors) =>
    isView(vectors) ? lying(new Float32Array(1), 'length', vectors.length) : null,
  'gives a thenable that throws': () => () => thenable(raise),
  'gives a revoked proxy': () => () => revoked({}),
  'rejects with a revoked proxy': () => async () => Promise.reject(revoked({})),
  'rejects with undefined': () => async () => Promise.reject(undefined),
  'throws undefined': () => () => {
    throw undefined;
  },
  detaches:
    ({ detachAll, valid }) =>
    (...args) =>
      after(detachAll, (valid as AnyFunction)(...args)),
  disposes:
    ({ disposeAll, valid }) =>
    (...args) =>
      after(disposeAll, (valid as AnyFunction)(...args)),
  'writes to what it is given':
    () =>
    (...args) =>
      args.map((each) => isView(each) && each.fill(7 as never)),
};

const makers: [string, Make][] = [
  ...PLAIN.map((value, index): [string, Make] => [`value ${index}`, () => value]),
  ...Object.entries(STRANGE),
  ...Object.entries(ARRAYS).map(([name, make]): [string, Make] => [
    `array: ${name}`,
    (around) => (isView(around.valid) ? make(around.valid, around) : around.valid),
  ]),
  ...Object.entries(OBJECTS).map(([name, make]): [string, Make] => [
    `object: ${name}`,
    (around) => {
      const { valid } = around;
      const huge = Array.isArray(valid) && valid.length > 1000;
      return typeof valid === 'object' && valid !== null && !huge ? make(valid as Dictionary, around) : valid;
    },
  ]),
  ...Object.entries(FUNCTIONS).map(([name, make]): [string, Make] => [
    `function: ${name}`,
    (around) => (typeof around.valid === 'function' ? make(around) : around.valid),
  ]),
];

/** By name, as the description of a call has them. */
export const HOSTILE: ReadonlyMap<string, Make> = new Map(makers);
/** Names of those that make sense in the place of a value of that kind. */
export function hostileNames(valid: unknown): string[] {
  const kind = isView(valid)
    ? 'array'
    : typeof valid === 'function'
      ? 'function'
      : typeof valid === 'object'
        ? 'object'
        : '';
  return makers.map(([name]) => name).filter((name) => !name.includes(': ') || name.startsWith(`${kind}: `));
}
