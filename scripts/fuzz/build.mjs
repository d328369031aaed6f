/** Bundles what the fuzzers run. */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Bundles modules of `test/fuzz` and all that they import into files of `build`, from where the addon is found as it is
 * from `dist`.
 *
 * @param {Record<string, string>} entries paths in `test/fuzz` by the names of the bundles
 * @param {(string | RegExp)[]} [external] packages that are not bundled
 * @returns {Promise<Record<string, string>>} paths of the bundles by name
 */
export async function bundle(entries, external = []) {
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
    outDir: 'build',
    clean: false,
    dts: false,
    fixedExtension: true,
    external,
    noExternal: external.length === 0 ? [/^[a-z@]/] : [],
  });
  return Object.fromEntries(Object.keys(entries).map((name) => [name, join(root, 'build', `${name}.cjs`)]));
}
