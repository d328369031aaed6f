/**
 * Compiles, links and loads the addon against the CUDA build of libtorch, in a build folder of its own. No GPU is
 * needed: what is shown is that the addon loads without one, still computes on the CPU, and refuses the device cleanly.
 * The first run downloads 2.8 GB.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { runScript, SetupError } from './setup/failure.mjs';
import { installPackages } from './setup/node-modules.mjs';
import { say } from './setup/process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'build', 'cuda');

/** Runs in a process of its own: a failed load must not take this one with it. */
const PROBE = `
const addon = require(process.argv[1]);
const { libtorchVersion, cudaCompiled, cudaDevices } = addon.info();
let code = 'none';
try { addon.availableMemory('cuda'); } catch (error) { code = error.code; }
const [one] = addon.normal(addon.createGenerator(0n), [1], 0, 1, false);
console.log(JSON.stringify({ libtorchVersion, cudaCompiled, cudaDevices, code, one, cpuMemory: addon.availableMemory('cpu') }));
`;

await runScript(async () => {
  await installPackages(root);
  const { resolveLibtorch } = await import('./setup/libtorch.mjs');
  const { buildAddon } = await import('./setup/addon.mjs');
  const libtorch = await resolveLibtorch({ ...process.env, TORCH_CURVATURE_VARIANT: 'cuda' });
  if (libtorch.variant !== 'cuda') throw new SetupError(`${libtorch.path} is not a CUDA build of libtorch.`);
  await buildAddon(root, libtorch, { out });

  const addon = join(out, 'Release', 'torch_curvature.node');
  const found = JSON.parse((await promisify(execFile)(process.execPath, ['-e', PROBE, addon])).stdout);
  say(JSON.stringify(found));
  expect(found.cudaCompiled === true, 'info() says that CUDA is compiled in');
  expect(Number.isFinite(found.one), 'the CPU computes');
  if (found.cudaDevices.length === 0) {
    expect(found.code === 'ERR_DEVICE_UNAVAILABLE', "device 'cuda' is refused with ERR_DEVICE_UNAVAILABLE");
  } else {
    expect(found.code === 'none', "device 'cuda' is accepted");
  }
});

/**
 * @param {boolean} holds
 * @param {string} claim
 */
function expect(holds, claim) {
  say(`${holds ? 'ok    ' : 'FAILED'} ${claim}`);
  if (!holds) process.exitCode = 1;
}
