/**
 * Makes the packages of a release in `build/release`: `npm run release:pack`. The addon and its libtorch are those of the
 * set-up; what comes out is installed into an empty project and computes there before this ends well.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';
import { stageAddon } from './release/addon.mjs';
import { readJson, writeJson } from './release/files.mjs';
import { stageLibtorch } from './release/libtorch.mjs';
import { describePlatform } from './release/manifests.mjs';
import { pack, packOnce, stageMain } from './release/pack.mjs';
import { tryPackages } from './release/trial.mjs';
import { runScript } from './setup/failure.mjs';
import { say } from './setup/process.mjs';
import { digest } from './setup/stamp.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'build', 'release');

await runScript(async () => {
  const built = await readJson(join(root, 'build', 'Release', 'libtorch.json'));
  const platform = describePlatform(await readJson(join(root, 'package.json')), built);
  await mkdir(out, { recursive: true });

  const addon = await stageAddon(root, join(out, 'addon'), platform);
  const libtorch = await stageLibtorch(built.path, join(out, 'libtorch'), platform, addon);
  await addon.writeRecord(built, libtorch);
  const main = await stageMain(root, join(out, 'main'), platform);

  const packages = [await pack(main, out), await pack(addon.folder, out)];
  if (libtorch.packaged)
    packages.push(await packOnce(libtorch.folder, out, await digest(libtorch.folder, ['.'])));
  const trial = join(out, 'trial');
  await tryPackages(root, trial, packages, libtorch.packaged ? undefined : built.path);
  await rm(trial, { recursive: true });
  await writeJson(join(out, 'packages.json'), packages);

  for (const { name, version, tarball, packed, unpacked } of packages)
    say(`${name}@${version}: ${megabytes(packed)} packed, ${megabytes(unpacked)} unpacked: ${tarball}`);
  say(`The addon needs ${addon.requirements.join(', ')}.`);
});

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 1)} MB`;
}
