import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { SetupError } from './failure.mjs';
import { withLock } from './lock.mjs';
import { findAltered, isLibrary, recordFiles } from './manifest.mjs';
import { say } from './process.mjs';
import { BRING_YOUR_OWN, pipInstall, requirePip } from './python.mjs';
import { requirementsFile } from './requirements.mjs';
import { filesIn } from './stamp.mjs';

/** @typedef {import('./releases.mjs').Release} Release */

/** What the libraries were when they were put here: to have one of them altered ends a process that loads it. */
const LIBRARIES = 'libraries.json';
/** The sizes of all files. Written last. */
const SIZES = 'complete.json';
const PARTIAL = '.partial-';

/** What a build and a run need of PyTorch's and NVIDIA's wheels, and their licenses. */
const NEEDED = [
  /^torch\/(include|share\/cmake)\//,
  /^torch\/version\.py$/,
  /^torch\/lib\/[^/]*\.(so(\.\d+)*|dylib|dll|lib)$/,
  /^nvidia\/.*\/include\//,
  /^nvidia\/.*\/lib\/[^/]*\.so(\.\d+)*$/,
  /^[^/]*\.dist-info\/(.*\/)?(LICEN[CS]E|NOTICE|COPYING)[^/]*$/i,
];
/** Libraries of PyTorch that serve Python or its own tests. */
const NOT_NEEDED = /^torch\/lib\/lib(torch_python|shm|.*_test|backend_with_compiler|aoti_custom_ops)\./;

/**
 * Where a release lies in the cache.
 * @param {string} cache
 * @param {Release} release
 */
export function releaseFolder(cache, release) {
  return join(cache, `libtorch-${release.version}-${release.variant}`);
}

/**
 * Whether the release is in the cache with every file as it was put there.
 * @param {string} cache
 * @param {Release} release
 * @throws the system's error where it may not be read
 */
export async function isComplete(cache, release) {
  const folder = releaseFolder(cache, release);
  try {
    const [sizes, libraries] = await Promise.all([readJson(folder, SIZES), readJson(folder, LIBRARIES)]);
    const found = await Promise.all(Object.keys(sizes).map((name) => stat(join(folder, name))));
    if (Object.values(sizes).some((size, i) => size !== found[i].size)) return false;
    return findAltered(folder, libraries) === undefined;
  } catch (error) {
    if (error.code === 'EACCES' || error.code === 'EPERM') throw error;
    return false;
  }
}

/**
 * @param {string} folder
 * @param {string} name
 */
async function readJson(folder, name) {
  return JSON.parse(await readFile(join(folder, name), 'utf8'));
}

/**
 * Has pip download, verify and unpack a release, and keeps what is needed of it. It appears in the cache as a whole or not
 * at all; other set-ups that want it meanwhile wait.
 * @param {string} cache
 * @param {Release} release
 * @param {NodeJS.ProcessEnv} env
 */
export async function fetchRelease(cache, release, env) {
  const waiting = () => say('Another set-up is fetching libtorch; waiting for it …');
  await withLock(
    join(cache, 'lock'),
    async () => {
      if (await isComplete(cache, release)) return;
      await requirePip(env);
      await removeLeftovers(cache, release);
      await requireSpace(cache, release);
      const partial = await mkdtemp(join(cache, PARTIAL));
      try {
        const installed = await install(partial, release, env);
        const kept = join(partial, 'kept');
        await keepNeeded(installed, kept);
        await remove(installed); // now, as a run that is killed after the rename is never repeated
        await rename(kept, releaseFolder(cache, release));
      } finally {
        await remove(partial).catch(() => {}); // the next run tries again
      }
    },
    waiting,
  );
}

/**
 * What killed runs left, and a release whose files were damaged or taken away.
 * @param {string} cache
 * @param {Release} release
 */
async function removeLeftovers(cache, release) {
  for (const name of await readdir(cache)) {
    if (name.startsWith(PARTIAL)) await remove(join(cache, name));
  }
  const folder = releaseFolder(cache, release);
  if (!existsSync(folder)) return;
  say(`${folder} is damaged; fetching it again.`);
  await remove(folder);
}

/** @param {string} folder which a dying pip may still write into */
function remove(folder) {
  return rm(folder, { recursive: true, force: true, maxRetries: 5 });
}

/**
 * @param {string} cache
 * @param {Release} release
 */
async function requireSpace(cache, release) {
  const { bavail, bsize } = await statfs(cache);
  if (bavail * bsize >= release.diskBytes) return;
  throw new SetupError(
    `${cache} has ${gigabytes(bavail * bsize)} left, but fetching libtorch ${release.version} (${release.variant}) ` +
      `takes ${gigabytes(release.diskBytes)}. Make room, or set TORCH_CURVATURE_CACHE to a folder on another disk.`,
  );
}

/**
 * PyTorch's wheel, and for a CUDA build NVIDIA's, all unpacked.
 * @param {string} partial
 * @param {Release} release
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string>} the folder
 */
async function install(partial, release, env) {
  const folders = { target: join(partial, 'installed'), temporary: join(partial, 'temporary') };
  for (const folder of Object.values(folders)) await mkdir(folder);
  const file = join(partial, 'requirements.txt');
  say(`Downloading libtorch ${release.version} (${release.variant}) with pip …`);
  const failures = [];
  for (const [torch, ...options] of release.sources) {
    await writeFile(file, requirementsFile(release, torch));
    const failure = await pipInstall(file, options, folders, env);
    if (failure === undefined) return folders.target;
    failures.push([`pip install ${[torch, ...options].join(' ')}:`, ...lastLines(failure)].join('\n  '));
  }
  throw new SetupError(
    `pip could not download libtorch. What it said:\n${failures.join('\n')}\n${adviceOn(failures.join())} ${BRING_YOUR_OWN}`,
  );
}

/** @param {string} failures what pip said */
function adviceOn(failures) {
  if (/No space left|Disk quota|File too large/i.test(failures))
    return 'The disk is full: make room, or set TORCH_CURVATURE_CACHE to a folder on another disk.';
  if (/DO NOT MATCH THE HASHES/.test(failures))
    return (
      'What pip was served is another build than the pinned one (for the CPU perhaps the CUDA build, which ' +
      'TORCH_CURVATURE_VARIANT=cuda takes), or the download was damaged or altered; try again.'
    );
  return "Check the network, proxy (HTTPS_PROXY) and pip's configuration (pip config list), and try again.";
}

/** @param {string} text */
function lastLines(text) {
  const lines = text.split('\n').filter((line) => line.trim() && !line.startsWith('WARNING: Retrying'));
  return lines.slice(-6).map((line) => line.trim());
}

/**
 * Moves what is needed and writes down what it was.
 * @param {string} installed
 * @param {string} kept
 */
async function keepNeeded(installed, kept) {
  /** @type {Record<string, number>} */
  const sizes = {};
  for (const file of await filesIn(installed)) {
    const name = relative(installed, file).replaceAll(sep, '/');
    if (!isNeeded(name)) continue;
    await mkdir(dirname(join(kept, name)), { recursive: true });
    await rename(file, join(kept, name));
    sizes[name] = (await stat(join(kept, name))).size;
  }
  const libraries = recordFiles(kept, Object.keys(sizes).filter(isLibrary));
  await writeFile(join(kept, LIBRARIES), JSON.stringify(libraries));
  await writeFile(join(kept, SIZES), JSON.stringify(sizes));
}

/** @param {string} name */
function isNeeded(name) {
  return NEEDED.some((pattern) => pattern.test(name)) && !NOT_NEEDED.test(name);
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
