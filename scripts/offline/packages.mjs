import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readJson } from '../release/files.mjs';

/**
 * The folders of npm packages and of all that they need, as they lie in node_modules.
 * @param {string} root of the package
 * @param {readonly string[]} names
 * @returns {Promise<string[]>} relative to `root`
 */
export async function packageFolders(root, names) {
  const { packages } = await readJson(join(root, 'package-lock.json'));
  const found = new Set();
  const visit = (from, name, optional) => {
    const folder = resolve(packages, from, name);
    if (folder === undefined || !existsSync(join(root, folder))) {
      // Of other platforms, mostly.
      if (optional) return;
      throw new Error(`${name}, which ${from || 'the archive'} needs, is not installed`);
    }
    if (found.has(folder)) return;
    found.add(folder);
    const {
      dependencies = {},
      optionalDependencies = {},
      peerDependencies = {},
      peerDependenciesMeta = {},
    } = packages[folder];
    for (const each of Object.keys(dependencies)) visit(folder, each, false);
    for (const each of Object.keys(optionalDependencies)) visit(folder, each, true);
    for (const each of Object.keys(peerDependencies))
      if (!peerDependenciesMeta[each]?.optional) visit(folder, each, false);
  };
  for (const name of names) visit('', name, false);
  return [...found].sort();
}

/**
 * As Node resolves: the package's own node_modules, then those further up.
 * @param {Record<string, unknown>} packages of the lock file
 * @param {string} from a folder in node_modules, or '' for the root
 * @param {string} name
 */
function resolve(packages, from, name) {
  for (let folder = from; ; folder = dirname(folder)) {
    const at = join(folder === '.' ? '' : folder, 'node_modules', name);
    if (at in packages) return at;
    if (folder === '' || folder === '.') return undefined;
  }
}
