/**
 * Makes a fresh clone ready: npm packages, libtorch, the addon, dist/. Quick when there is nothing to do.
 * `import './setup.mjs'` runs it too; it ends the process when it fails.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runScript } from './setup/failure.mjs';
import { withLock } from './setup/lock.mjs';
import { installPackages } from './setup/node-modules.mjs';
import { say } from './setup/process.mjs';
import { buildTypeScript } from './setup/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

async function setUp() {
  await installPackages(root);
  // These import npm packages, which are there only now.
  const { resolveLibtorch } = await import('./setup/libtorch.mjs');
  const { buildAddon } = await import('./setup/addon.mjs');
  await buildAddon(root, await resolveLibtorch());
  await buildTypeScript(root);
}

await runScript(() =>
  withLock(join(root, 'build', 'setup.lock'), setUp, () =>
    say('Another set-up is running here; waiting for it …'),
  ),
);
if (process.exitCode) process.exit();
