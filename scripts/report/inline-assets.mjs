import { fileURLToPath } from 'node:url';

/** The module whose texts are put into bundles. */
export const ASSETS = fileURLToPath(new URL('assets.mjs', import.meta.url));

/** A plugin of tsdown: the texts of `assets.mjs` become part of the bundle, which then needs no files beside it. */
export const inlineAssets = {
  name: 'inline-assets',
  /** @param {string} id */
  async load(id) {
    if (id !== ASSETS) return undefined;
    const assets = Object.entries(await import(ASSETS));
    return assets.map(([name, text]) => `export const ${name} = ${JSON.stringify(text)};`).join('\n');
  },
};
