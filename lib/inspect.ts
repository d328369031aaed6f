/** How objects show themselves to `console.log` and `util.inspect`. */
import type { InspectOptionsStylized, inspect } from 'node:util';

/** What `util.inspect` hands to an object's own function; `depth` is what is left of it, `null` for no limit. */
export type InspectArguments = [depth: number | null, options: InspectOptionsStylized, show: typeof inspect];

/** `Name { field: value, … }`, without the fields that are undefined. */
export function inspected(name: string, fields: object, [depth, options, show]: InspectArguments): string {
  if (depth !== null && depth < 0) return options.stylize(`[${name}]`, 'special');
  const known = Object.entries(fields).filter(([, value]) => value !== undefined);
  return `${name} ${show(Object.fromEntries(known), { ...options, depth })}`;
}
