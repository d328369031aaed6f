import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { ASSETS } from '../report/inline-assets.mjs';

/** The folder of the npm package that a module is of. */
const PACKAGE = /^.*[\\/]node_modules[\\/](?:@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/;

/** A plugin of tsdown: puts the licenses of the packages in a bundle beside it, as they ask for. */
export const bundledLicenses = {
  name: 'bundled-licenses',
  /**
   * @param {unknown} _options
   * @param {Record<string, { name: string, moduleIds?: string[] }>} bundle
   */
  generateBundle(_options, bundle) {
    for (const { name, moduleIds = [] } of Object.values(bundle)) {
      const folders = new Set(moduleIds.flatMap((id) => PACKAGE.exec(id)?.[0] ?? []));
      // Its files are read as text.
      if (moduleIds.includes(ASSETS))
        folders.add(dirname(createRequire(ASSETS).resolve('uplot/package.json')));
      if (folders.size === 0) continue;
      const source = [...folders]
        .sort()
        .map(licenseOf)
        .join(`\n${'-'.repeat(80)}\n\n`);
      this.emitFile({ type: 'asset', fileName: `${name}.licenses.txt`, source });
    }
  },
};

/** @param {string} folder of a package */
function licenseOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  if (file === undefined) throw new Error(`${name} has no text of its license (${license})`);
  return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`;
}
