/** Everything that a caller can call, found by looking: what is exported, and what objects from it can do. */

/** One thing to call. */
export interface Entry {
  /** `cg`, `nn.linear`, `Generator.randn`, `new Generator`, `get LinearOperator.disposed` */
  readonly name: string;
  /** The class whose instances it is of. */
  readonly owner?: string;
  invoke(self: unknown, args: readonly unknown[]): unknown;
}

type AnyFunction = (...args: unknown[]) => unknown;

const OF_JAVASCRIPT: ReadonlySet<unknown> = new Set(
  [Object, Array, Function, Error, TypeError, RangeError].map(({ prototype }) => prototype),
);

/**
 * @param exported the package's module
 * @param instances one object of each class that is not exported itself, or whose methods are to be called
 */
export function surface(exported: object, instances: Readonly<Record<string, object>>): Entry[] {
  const entries = new Map<string, Entry>();
  const add = (entry: Entry) => entries.set(entry.name, entries.get(entry.name) ?? entry);
  const addExports = (holder: object, prefix: string) => {
    for (const [key, value] of Object.entries(holder)) {
      if (key === 'default') continue; // the same once more
      if (typeof value === 'object' && value !== null) addExports(value, `${prefix}${key}.`);
      if (typeof value !== 'function') continue;
      if (isClass(value)) addClass(value, `${prefix}${key}`);
      else add({ name: prefix + key, invoke: (_, args) => (value as AnyFunction)(...args) });
    }
  };
  const addClass = (type: AnyFunction, name: string) => {
    add({ name: `new ${name}`, invoke: (_, args) => Reflect.construct(type, args) });
    for (const key of Object.getOwnPropertyNames(type)) {
      const value = Object.getOwnPropertyDescriptor(type, key)!.value as unknown;
      if (typeof value === 'function') {
        add({ name: `${name}.${key}`, invoke: (self, args) => Reflect.apply(value, self ?? type, args) });
      }
    }
  };
  const addMembers = (instance: object, owner: string) => {
    for (
      let type = Object.getPrototypeOf(instance) as object;
      !OF_JAVASCRIPT.has(type);
      type = Object.getPrototypeOf(type) as object
    ) {
      for (const key of Reflect.ownKeys(type)) {
        const { value, get } = Object.getOwnPropertyDescriptor(type, key)!;
        const name = `${owner}.prototype.${String(key)}`;
        if (key === 'constructor') addClass(value as AnyFunction, owner);
        else if (typeof value === 'function') {
          add({ name, owner, invoke: (self, args) => Reflect.apply(value, self, args) });
        } else if (get !== undefined) {
          add({ name: `get ${name}`, owner, invoke: (self) => Reflect.apply(get, self, []) });
        }
      }
    }
  };
  addExports(exported, '');
  for (const [owner, instance] of Object.entries(instances)) addMembers(instance, owner);
  return [...entries.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function isClass(value: AnyFunction): boolean {
  return /^class\b/.test(Function.prototype.toString.call(value));
}
