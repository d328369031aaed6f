import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SetupError } from './failure.mjs';
import { withLock } from './lock.mjs';
import { say } from './process.mjs';
import { BRING_YOUR_OWN, pipDownload, requirePip } from './python.mjs';
import { addRequirements, initialRequirements, needs } from './requirements.mjs';
import { readMetadata, unpackWheel, verifyChecksum } from './wheel.mjs';

/** @typedef {import('./releases.mjs').Release} Release */

/** Written last: names the unpacked files and their sizes. */
const MANIFEST = 'complete.json';
const PARTIAL = '.partial-';

/**
 * Where a release lies in the cache.
 * @param {string} cache
 * @param {Release} release
 */
export function releaseFolder(cache, release) {
  return join(cache, `libtorch-${release.version}-${release.variant}`);
}

/**
 * Whether the release is in the cache with every file at its full size.
 * @param {string} cache
 * @param {Release} release
 */
export async function isComplete(cache, release) {
  const folder = releaseFolder(cache, release);
  try {
    const files = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8'));
    const sizes = await Promise.all(Object.keys(files).map((name) => stat(join(folder, name))));
    return Object.values(files).every((size, i) => size === sizes[i].size);
  } catch {
    return false;
  }
}

/**
 * Downloads a release, verifies it and unpacks what is needed of it. It appears in the cache as a whole or not at all;
 * other set-ups that want it meanwhile wait.
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
        await fetchInto(partial, release, env);
        await rename(join(partial, 'unpacked'), releaseFolder(cache, release));
      } finally {
        await rm(partial, { recursive: true, force: true });
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
    if (name.startsWith(PARTIAL)) await rm(join(cache, name), { recursive: true, force: true });
  }
  const folder = releaseFolder(cache, release);
  if (!existsSync(folder)) return;
  say(`${folder} is damaged; fetching it again.`);
  await rm(folder, { recursive: true, force: true });
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
 * PyTorch's wheel, and for a CUDA build the NVIDIA wheels that it requires. Each is removed once it is unpacked.
 * @param {string} partial
 * @param {Release} release
 * @param {NodeJS.ProcessEnv} env
 */
async function fetchInto(partial, release, env) {
  const downloads = join(partial, 'wheels');
  const unpacked = join(partial, 'unpacked');
  await mkdir(unpacked);
  /** @type {Record<string, number>} */
  const files = {};
  const wanted = initialRequirements(release);

  say(`Downloading libtorch ${release.version} (${release.variant}) with pip …`);
  let wheels = await downloadFirst(release.sources, downloads, env);
  while (wheels.length > 0) {
    for (const wheel of wheels) {
      await verifyChecksum(wheel, release);
      addRequirements(wanted, await readMetadata(wheel));
      Object.assign(files, await unpackWheel(wheel, unpacked));
      await rm(wheel);
    }
    const next = needs(wanted, release);
    if (next.length === 0) break;
    say(`Downloading ${next.length} NVIDIA packages …`);
    wheels = await downloadFirst([next], downloads, env);
  }
  await writeFile(join(unpacked, MANIFEST), JSON.stringify(files));
}

/**
 * @param {string[][]} sources
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string[]>} the wheels
 */
async function downloadFirst(sources, folder, env) {
  const failures = [];
  for (const source of sources) {
    const failure = await pipDownload(source, folder, env);
    if (failure === undefined) return (await readdir(folder)).sort().map((name) => join(folder, name));
    failures.push(`pip download ${source.join(' ')}:\n${indent(failure)}`);
  }
  throw new SetupError(
    `pip could not download libtorch. What it said:\n${failures.join('\n')}\n` +
      `Check the network, proxy (HTTPS_PROXY) and pip's configuration (pip config list). ${BRING_YOUR_OWN}`,
  );
}

/** @param {string} text */
function indent(text) {
  const lines = text.split('\n').filter((line) => !line.startsWith('WARNING: Retrying'));
  return lines
    .slice(-4)
    .map((line) => `  ${line}`)
    .join('\n');
}

/** @param {number} bytes */
function gigabytes(bytes) {
  return `${(bytes / 1e9).toFixed(1)} GB`;
}
