/** What to do about an addon that is missing, in the words of whichever package manager installed the package. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ROOT } from '../root.ts';
import { PLATFORM, packageName } from './platform-package.ts';

const FOLDER = fileURLToPath(ROOT);
/** The script itself rather than a command of npm: that runs no scripts where these are switched off. */
const SCRIPT = join(FOLDER, 'scripts/setup/build.mjs');

/** How every message about a damaged build ends. */
export const REBUILD = `run \`node "${SCRIPT}"\`, which finds or fetches libtorch and builds the addon`;

/** How a message about a damaged package ends. */
export const REINSTALL = `remove node_modules and install again, or ${REBUILD}`;

/** Why there is no addon, and what gives one. */
export function whyMissing(): string {
  const manifest = ownManifest();
  if (manifest === undefined) return IN_BUNDLE;
  const { version, optionalDependencies = {} } = manifest;
  const name = packageName('cpu');
  const pinned = optionalDependencies[name];
  if (Object.keys(optionalDependencies).length === 0) {
    return (
      `the native addon was not built: there is no ${join(FOLDER, 'build/Release/libtorch.json')}. To mend it, ${REBUILD}. ` +
      `A package manager that may not run scripts says so at installation; this lets it: ${allowScripts(manager())}`
    );
  }
  if (pinned === undefined)
    return `there is no ready addon for ${PLATFORM}. To build one from source, ${REBUILD}`;
  if (isMusl())
    return (
      `the ready addon for ${PLATFORM} needs glibc, and so does PyTorch, but this system has musl (Alpine?): ` +
      'use an image of Debian or Ubuntu, such as node:22-slim'
    );
  return (
    `${name}, which has the addon for ${PLATFORM}, is not installed beside torch-curvature ${version}: ` +
    'was node_modules copied from another system, or installed without optional dependencies (--omit=optional), or from ' +
    'a lock file that another system wrote? Remove node_modules and the lock file and install again, or add it: ' +
    `${addCommand(manager())} ${name}@${pinned}. From source: ${REBUILD}`
  );
}

const IN_BUNDLE =
  `torch-curvature was bundled, and from ${FOLDER} its addon, ${packageName('cpu')}, is not found: mark the package as ` +
  'external (esbuild --external:torch-curvature, webpack externals, Vite ssr.external, Next.js serverExternalPackages) ' +
  'and install it where the bundle runs';

type Manager = 'npm' | 'pnpm' | 'yarn' | 'bun';

/** The package manager of the project that the package is installed in, by its lock file. */
function manager(): Manager {
  const project = FOLDER.replace(/[\\/]node_modules[\\/].*$/, '');
  const has = (...names: string[]) => names.some((name) => existsSync(join(project, name)));
  if (has('pnpm-lock.yaml')) return 'pnpm';
  if (has('yarn.lock')) return 'yarn';
  return has('bun.lock', 'bun.lockb') ? 'bun' : 'npm';
}

/** What lets a package manager run the script that builds the addon, and has it do so. */
function allowScripts(name: Manager): string {
  return {
    npm: 'npm approve-scripts torch-curvature (npm 11.10 and later), then npm rebuild torch-curvature',
    pnpm: 'pnpm approve-builds, or onlyBuiltDependencies in pnpm-workspace.yaml',
    yarn: 'dependenciesMeta: { "torch-curvature": { "built": true } } in package.json, then yarn rebuild torch-curvature',
    bun: 'bun pm trust torch-curvature',
  }[name];
}

function addCommand(name: Manager): string {
  return { npm: 'npm install', pnpm: 'pnpm add', yarn: 'yarn add', bun: 'bun add' }[name];
}

interface Manifest {
  version: string;
  optionalDependencies?: Record<string, string>;
}

/** This package's own; a bundle has none, or someone else's. */
function ownManifest(): Manifest | undefined {
  try {
    const manifest = JSON.parse(readFileSync(join(FOLDER, 'package.json'), 'utf8'));
    return manifest.name === 'torch-curvature' ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the C library is musl: Node.js tells the version of glibc where it runs on that. */
function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const { header } = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
  return header.glibcVersionRuntime === undefined;
}
