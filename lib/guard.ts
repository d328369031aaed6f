/** What classes are guarded with against calls that the language lets through. */
import { inspect } from 'node:util';
import { wrongType } from './errors.ts';
import { describe } from './foreign.ts';

/**
 * Makes the methods and getters of a class say what they were called on where that is no object of the class: a
 * TypeError with a code, or a promise that rejects with it, instead of the language's own error.
 *
 * @param is tells by a private field, so that Proxies and heirs of an object are none
 */
export function guard(
  type: { readonly name: string; readonly prototype: object },
  is: (value: unknown) => boolean,
) {
  const { constructor: _, ...members } = Object.getOwnPropertyDescriptors(type.prototype) as Members;
  for (const key of Reflect.ownKeys(members)) {
    if (key === Symbol.toStringTag) continue;
    const member = members[key as string]!;
    const kind = typeof member.value === 'function' ? 'value' : 'get';
    const method = member[kind] as Method;
    const name = `${type.name}.${String(key)}`;
    const wrong = (self: unknown) =>
      wrongType(`${name} should be called on an object of the class, got ${describe(self)}`);
    const guarded = isAsync(method)
      ? function (this: unknown, ...args: unknown[]) {
          return is(this) ? method.apply(this, args) : Promise.reject(wrong(this));
        }
      : function (this: unknown, ...args: unknown[]) {
          // To show a prototype or a Proxy should not fail.
          if (!is(this) && key === inspect.custom) return `[${type.name}]`;
          if (!is(this)) throw wrong(this);
          return method.apply(this, args);
        };
    const { name: shown, length } = Object.getOwnPropertyDescriptors(method);
    Object.defineProperties(guarded, { name: shown!, length: length! });
    Object.defineProperty(type.prototype, key, { ...member, [kind]: guarded });
  }
}

type Method = (this: unknown, ...args: unknown[]) => unknown;
type Members = Record<string, PropertyDescriptor>;

const AsyncFunction = (async () => {}).constructor;
const isAsync = (method: Method) => method instanceof AsyncFunction;

const INSIDE = Symbol('made inside the package');
/** What constructors that are not for callers are given. */
export type Inside = typeof INSIDE;
export { INSIDE };

/** @throws TypeError unless the constructor was called inside the package; `from` says where callers get such an object */
export function checkInside(key: unknown, from: string): asserts key is Inside {
  if (key !== INSIDE) throw wrongType(`a constructor that is not to be called: ${from}`);
}
