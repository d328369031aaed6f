/** The set-up, then `torch-curvature bench` with the arguments given. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import './setup.mjs';

const cli = fileURLToPath(new URL('../dist/cli.mjs', import.meta.url));
const { status } = spawnSync(process.execPath, [cli, 'bench', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
