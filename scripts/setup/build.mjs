/**
 * Finds libtorch and builds the addon: `node scripts/setup/build.mjs [--debug]`. npm reaches it through binding.gyp when
 * the package is installed.
 */
import { fileURLToPath } from 'node:url';
import { buildAddon } from './addon.mjs';
import { runScript } from './failure.mjs';
import { resolveLibtorch } from './libtorch.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

await runScript(async () => {
  await buildAddon(root, await resolveLibtorch(), { debug: process.argv.includes('--debug') });
});
