/**
 * Finds libtorch and builds the addon: `node scripts/setup/build.mjs [--debug]`. In an installed package what CMake leaves
 * is deleted afterwards; in a clone it serves the next build.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildAddon } from './addon.mjs';
import { runScript } from './failure.mjs';
import { resolveLibtorch } from './libtorch.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

await runScript(async () => {
  await buildAddon(root, await resolveLibtorch(), { debug: process.argv.includes('--debug') });
  if (!existsSync(join(root, '.git')))
    await rm(join(root, 'build', 'cmake'), { recursive: true, force: true });
});
