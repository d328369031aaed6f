/**
 * The one place that loads the addon. Nothing else in `lib/` touches the `.node` file. Arguments reaching its functions
 * were checked before (`check.ts`); the addon checks again only what would make it read outside an array.
 */
import { translated } from '../errors.ts';
import type { BuildRecord } from './build-record.ts';
import type { Addon } from './interface.ts';
import { loadAddon } from './load.ts';

let loaded: ReturnType<typeof loadAddon> | undefined;

/**
 * The addon, loaded at the first call: importing the package costs nothing and cannot fail.
 *
 * @throws TorchCurvatureError `ERR_ACCESS_DENIED`, `ERR_ADDON_MISSING`, `ERR_LIBTORCH_MISSING`,
 * `ERR_LIBTORCH_VERSION`
 */
export function addon(): Addon {
  loaded ??= load();
  return loaded.addon;
}

/** Which libtorch the addon was built with. */
export function libtorchRecord(): BuildRecord {
  loaded ??= load();
  return loaded.libtorch;
}

/** The addon whose functions throw what callers should see. Promises reject with errors of the addon's, as `run` knows. */
function load() {
  const { addon, libtorch } = loadAddon();
  const functions = Object.entries(addon as unknown as Record<string, (...args: unknown[]) => unknown>);
  const translating = functions.map(([name, call]) => [
    name,
    (...args: unknown[]) => translated(() => call(...args)),
  ]);
  return { addon: Object.fromEntries(translating) as Addon, libtorch };
}
