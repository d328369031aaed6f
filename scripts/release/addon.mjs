/** The package with the addon: stripped, and with a search path that leads to the package of its libtorch. */
import { copyFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needed, searchPath, symbolVersions } from './elf.mjs';
import { must, recordPackaged, writeJson } from './files.mjs';
import { addonManifest } from './manifests.mjs';

const NAME = 'torch_curvature.node';

/**
 * @param {string} root
 * @param {string} folder of the package to be
 * @param {import('./manifests.mjs').Platform} platform
 */
export async function stageAddon(root, folder, platform) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await copyFile(join(root, 'build', 'Release', NAME), join(folder, NAME));
  await must('strip', ['--strip-unneeded', join(folder, NAME)]);
  await relocate(join(folder, NAME), `$ORIGIN/../${platform.libtorch.split('/').at(-1)}/lib`);
  await copyFile(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  await writeFile(join(folder, 'index.cjs'), index(platform));
  await writeFile(
    join(folder, 'README.md'),
    `# ${platform.addon}\n\nThe native addon of [torch-curvature](${platform.base.homepage}), which installs it by itself.\n`,
  );
  await writeJson(join(folder, 'package.json'), addonManifest(platform));
  return {
    folder,
    needed: await needed(join(folder, NAME)),
    requirements: await symbolVersions(join(folder, NAME)),
    /**
     * @param {import('../setup/inspect.mjs').Libtorch} built
     * @param {{ libraries: import('../setup/manifest.mjs').Manifest }} libtorch
     */
    async writeRecord({ version, variant }, { libraries }) {
      const addon = recordPackaged(folder, [NAME]);
      await writeJson(join(folder, 'libtorch.json'), { version, variant, addon, libraries });
    },
  };
}

/**
 * Has a library look for those that it needs in a folder relative to its own. CMake does so when it installs what it built.
 * @param {string} file
 * @param {string} path
 */
async function relocate(file, path) {
  const old = await searchPath(file);
  const script = `${file}.cmake`;
  const quoted = [file, old, path].map((text) => `[==[${text}]==]`);
  await writeFile(
    script,
    `file(RPATH_CHANGE FILE ${quoted[0]} OLD_RPATH ${quoted[1]} NEW_RPATH ${quoted[2]})\n`,
  );
  await must('cmake', ['-P', script]);
  await rm(script);
}

/**
 * Says where the files lie, in words that tracers of files understand.
 * @param {import('./manifests.mjs').Platform} platform
 */
function index({ variant, libtorch }) {
  const packaged = `
try {
  exports.libtorch = require('${libtorch}').folder;
} catch {
  exports.libtorch = undefined; // not installed: the loader says so
}
`;
  return `'use strict';
const { join } = require('node:path');
const { name, version } = require('./package.json');

exports.name = name;
exports.version = version;
exports.addon = join(__dirname, '${NAME}');
exports.record = join(__dirname, 'libtorch.json');
${variant === 'cpu' ? packaged : ''}`;
}
