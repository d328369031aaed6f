/** Calls a part of the set-up in a process of its own and prints what it returns. */
import { readFileSync } from 'node:fs';
import { runScript } from '../../scripts/setup/failure.mjs';
import { resolveLibtorch } from '../../scripts/setup/libtorch.mjs';
import { installPackages } from '../../scripts/setup/node-modules.mjs';
import { requireToolchain } from '../../scripts/setup/toolchain.mjs';
import { buildTypeScript } from '../../scripts/setup/typescript.mjs';

const calls = {
  resolve: () => resolveLibtorch(process.env, JSON.parse(readFileSync(process.env.FAKE_RELEASES, 'utf8'))),
  toolchain: () => requireToolchain(process.env),
  packages: () => installPackages(process.cwd()),
  typescript: () => buildTypeScript(process.cwd()),
};

await runScript(async () => {
  console.log(JSON.stringify(await calls[process.argv[2]]()) ?? '');
});
