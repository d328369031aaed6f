/** Bundles what the fuzzers run. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles modules of `test/fuzz` and all that they import into files of a package's `build`, from where its addon is
 * found as it is from `dist`.
 *
 * @param {Record<string, string>} entries paths in `test/fuzz` by the names of the bundles
 * @param {(string | RegExp)[]} [external] packages that are not bundled
 * @param {string} [outDir]
 * @returns {Promise<Record<string, string>>} paths of the bundles by name
 */
export async function bundle(entries, external = [], outDir = join(root, 'build')) {
  await build({
    config: false,
    logLevel: 'error',
    cwd: root,
    entry: Object.fromEntries(
      Object.entries(entries).map(([name, path]) => [name, join('test', 'fuzz', path)]),
    ),
    format: ['cjs'],
    platform: 'node',
    target: 'node20',
    outDir,
    clean: false,
    dts: false,
    fixedExtension: true,
    external,
    noExternal: external.length === 0 ? [/^[a-z@]/] : [],
  });
  return Object.fromEntries(Object.keys(entries).map((name) => [name, join(outDir, `${name}.cjs`)]));
}
