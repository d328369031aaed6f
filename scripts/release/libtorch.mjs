/** The package with libtorch: the libraries that the addon needs and no more, without what only linkers and debuggers read. */
import { copyFile, cp, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SetupError } from '../setup/failure.mjs';
import { fetchRelease, releaseFolder } from '../setup/fetch.mjs';
import { RELEASES } from '../setup/releases.mjs';
import { needed } from './elf.mjs';
import { must, recordPackaged, writeJson } from './files.mjs';
import { libtorchManifest } from './manifests.mjs';

/**
 * @param {string} source libtorch's folder
 * @param {string} folder of the package to be
 * @param {import('./manifests.mjs').Platform} platform
 * @param {{ needed: string[] }} addon
 * @returns {Promise<{ folder: string, packaged: boolean, libraries: import('../setup/manifest.mjs').Manifest }>}
 */
export async function stageLibtorch(source, folder, platform, addon) {
  const libraries = await closure(join(source, 'lib'), addon.needed);
  const names = libraries.map((name) => `lib/${name}`);
  if (platform.variant === 'cuda')
    return { folder: source, packaged: false, libraries: recordPackaged(source, names) };

  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, 'lib'), { recursive: true });
  for (const name of names) await copyStripped(join(source, name), join(folder, name));
  await copyLicenses(source, join(folder, 'licenses'), platform);
  await writeFile(join(folder, 'index.cjs'), INDEX);
  await writeFile(
    join(folder, 'README.md'),
    `# ${platform.libtorch}\n\nShared libraries of [PyTorch](https://pytorch.org) ${platform.libtorchVersion}, stripped, ` +
      'for torch-curvature. Their licenses are in `licenses`.\n',
  );
  await writeJson(join(folder, 'package.json'), libtorchManifest(platform));
  return { folder, packaged: true, libraries: recordPackaged(folder, names) };
}

/** Says where the files lie, in words that tracers of files understand. */
const INDEX = `'use strict';
const { dirname, join } = require('node:path');

exports.libraries = join(__dirname, 'lib');
exports.folder = dirname(exports.libraries);
`;

/**
 * Those of the libraries in a folder that some need, and that these need.
 * @param {string} folder
 * @param {readonly string[]} names
 */
async function closure(folder, names) {
  const available = await readdir(folder);
  const found = new Set();
  const queue = [...names];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (found.has(name) || !available.includes(name)) continue;
    found.add(name);
    queue.push(...(await needed(join(folder, name))));
  }
  return [...found].sort();
}

/**
 * @param {string} from
 * @param {string} to
 */
async function copyStripped(from, to) {
  await must('strip', ['--strip-unneeded', '-o', to, from]);
  // A library that was stripped already may grow.
  if ((await stat(to)).size < (await stat(from)).size) return;
  await copyFile(from, `${to}.copy`);
  await rename(`${to}.copy`, to);
}

/**
 * The texts that have to go with the libraries: beside them, or where the cache has the libraries alone, fetched anew.
 * @param {string} source
 * @param {string} to
 * @param {import('./manifests.mjs').Platform} platform
 */
async function copyLicenses(source, to, { variant, libtorchVersion }) {
  const found = await licensesIn(dirname(source));
  if (found !== undefined) return cp(found, to, { recursive: true });
  const release = RELEASES[variant];
  if (release.version !== libtorchVersion)
    throw new SetupError(`${dirname(source)} has no torch-….dist-info with the licenses of libtorch.`);
  const cache = `${to}.cache`;
  await mkdir(cache);
  try {
    await fetchRelease(cache, release, process.env);
    await cp(await licensesIn(releaseFolder(cache, release)), to, { recursive: true });
  } finally {
    await rm(cache, { recursive: true });
  }
}

/** @param {string} folder */
async function licensesIn(folder) {
  const info = (await readdir(folder)).find((name) => /^torch-.*\.dist-info$/.test(name));
  return info === undefined ? undefined : join(folder, info, 'licenses');
}
