import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { defineConfig } from 'tsdown';
import { bundledLicenses } from './scripts/licenses/bundled.mjs';
import { inlineAssets } from './scripts/report/inline-assets.mjs';

/**
 * Makes the ES module a door to the CommonJS one. Two bundles would be two copies in a process that uses both, and a
 * model from one would be none to the other.
 */
async function shareOneCopy(): Promise<void> {
  const require = createRequire(import.meta.url);
  const names = Object.keys(require('./dist/index.cjs')).sort();
  await writeFile('dist/index.mjs', `export { ${names.join(', ')} } from './index.cjs';\n`);
  await writeFile('dist/index.d.mts', "export * from './index.cjs';\n");
}

/** Packages with addons: a release installs them, a clone has none. */
const external = [/^@torch-curvature\//];

export default defineConfig([
  {
    entry: { index: 'lib/index.ts' },
    external,
    format: ['cjs'],
    platform: 'node',
    target: 'node20',
    dts: true,
    fixedExtension: true,
    sourcemap: true,
    clean: true,
    hooks: { 'build:done': shareOneCopy },
  },
  {
    // With all that it imports: who uses the package as a library need not install what serves the command line.
    entry: { cli: 'lib/cli/main.ts' },
    external,
    plugins: [inlineAssets, bundledLicenses],
    format: ['esm'],
    platform: 'node',
    target: 'node20',
    dts: false,
    fixedExtension: true,
    clean: false,
  },
]);
