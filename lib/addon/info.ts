import { addon, libtorchRecord } from './addon.ts';
import type { RawInfo } from './interface.ts';

/** What the package runs on. */
export interface Info extends RawInfo {
  /** Folder of the libtorch in use. */
  libtorchPath: string;
}

/** Which libtorch is in use, where it lies, and on what it can compute. */
export function info(): Info {
  return { ...addon().info(), libtorchPath: libtorchRecord().path };
}
