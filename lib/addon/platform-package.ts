/** Finds the package with the addon for this platform, which a release brings along as an optional dependency. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { SELF } from '../root.ts';

/** What such a package exports; `scripts/release/addon.mjs` writes it. */
export interface PlatformPackage {
  name: string;
  /** That of the release it belongs to. */
  version: string;
  /** The addon's file. */
  addon: string;
  /** The record of its build. */
  record: string;
  /** Folder with the `lib/` of the libtorch that comes along; undefined where that is not installed, or is the user's. */
  libtorch: string | undefined;
}

type Variant = 'cpu' | 'cuda';

const TRACED = '@torch-curvature/linux-x64';

/**
 * By its literal name, which tracers of files follow to the files that a deployment needs; within a `try`, or bundlers would
 * fail where it is not installed. Where what comes back was moved into a bundle, its paths lead nowhere and the package is
 * looked up at run time, as those for other platforms are.
 */
function traced(): unknown {
  try {
    return require('@torch-curvature/linux-x64');
  } catch {
    return undefined;
  }
}

/** Node.js's name for a system and a processor: `linux-x64`. */
export const PLATFORM = `${process.platform}-${process.arch}`;

/** @param variant `cpu` comes with the package, `cuda` is installed by those who want it */
export function packageName(variant: Variant): string {
  return `@torch-curvature/${PLATFORM}${variant === 'cuda' ? '-cuda' : ''}`;
}

/**
 * The installed package for this platform, if there is one: that for CUDA before that for the CPU, as it is there only if it
 * was asked for; `TORCH_CURVATURE_VARIANT` says otherwise.
 */
export function findPlatformPackage(env: NodeJS.ProcessEnv = process.env): PlatformPackage | undefined {
  const variants: Variant[] = ['cuda', 'cpu'];
  const wanted = variants.filter((variant) => (env.TORCH_CURVATURE_VARIANT || variant) === variant);
  for (const name of wanted.map(packageName)) {
    const found =
      required(() => createRequire(SELF)(name)) ?? (name === TRACED ? required(traced) : undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

function required(load: () => unknown): PlatformPackage | undefined {
  let found: PlatformPackage;
  try {
    found = load() as PlatformPackage;
  } catch {
    return undefined;
  }
  return found !== undefined && existsSync(found.addon) ? found : undefined;
}
