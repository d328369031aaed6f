/**
 * The one place that loads the addon. Nothing else in `lib/` touches the `.node` file. Arguments reaching its functions
 * were checked before (`check.ts`); the addon checks again only what would make it read outside an array.
 */

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
  loaded ??= loadAddon();
  return loaded.addon;
}

/** Which libtorch the addon was built with. */
export function libtorchRecord(): BuildRecord {
  loaded ??= loadAddon();
  return loaded.libtorch;
}
