import { existsSync } from 'node:fs';
import { cp, mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { must, readJson, writeJson } from './files.mjs';
import { HEADERS, mainManifest } from './manifests.mjs';

/**
 * @typedef {object} Packed
 * @property {string} name
 * @property {string} version
 * @property {string} tarball
 * @property {number} packed bytes of the tarball
 * @property {number} unpacked bytes of its files
 */

/**
 * The package that users name: the files of the repository's own, with a manifest for users.
 * @param {string} root
 * @param {string} folder of the package to be
 * @returns {Promise<string>}
 */
export async function stageMain(root, folder) {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const { tarball } = await pack(root, folder);
  await must('tar', ['-xzf', tarball, '--strip-components=1', '-C', folder]);
  await rm(tarball);
  for (const name of HEADERS)
    await copyHeaders(join(root, 'node_modules', name), join(folder, 'native/headers', name));
  await writeJson(join(folder, 'package.json'), mainManifest(await readJson(join(root, 'package.json'))));
  return folder;
}

/**
 * @param {string} from a package
 * @param {string} to
 */
function copyHeaders(from, to) {
  const wanted = /(^|[/\\])([^/\\]*\.h|package\.json|LICENSE(\.md)?)$/;
  return cp(from, to, {
    recursive: true,
    filter: async (file) => file === from || wanted.test(file) || file === join(from, 'include'),
  });
}

/**
 * Packs a package unless it is the one that was packed the last time, which for libtorch takes a minute.
 * @param {string} folder
 * @param {string} out
 * @param {string} content a digest of it
 * @returns {Promise<Packed>}
 */
export async function packOnce(folder, out, content) {
  const file = `${folder}.packed.json`;
  const last = existsSync(file) ? await readJson(file) : {};
  if (last.content === content && existsSync(last.packed.tarball)) return last.packed;
  const packed = await pack(folder, out);
  await writeJson(file, { content, packed });
  return packed;
}

/**
 * @param {string} folder
 * @param {string} out
 * @returns {Promise<Packed>}
 */
export async function pack(folder, out) {
  const json = await must('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', out], {
    cwd: folder,
  });
  const parsed = JSON.parse(json);
  const { name, version, filename, unpackedSize } = Array.isArray(parsed)
    ? parsed[0]
    : Object.values(parsed)[0];
  const tarball = join(out, filename.replace('@', '').replace('/', '-'));
  return { name, version, tarball, packed: (await stat(tarball)).size, unpacked: unpackedSize };
}
