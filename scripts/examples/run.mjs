/**
 * Compiles an example and runs it: `node scripts/examples/run.mjs natural-gradient [options]`. What it imports from
 * `torch-curvature` is resolved when it runs, as in any program that uses the package.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';
import { inlineAssets } from '../report/inline-assets.mjs';

const NAMES = ['natural-gradient', 'hessian-spectrum'];

const [name, ...options] = process.argv.slice(2);
if (!NAMES.includes(name)) {
  console.error(`the examples are ${NAMES.join(' and ')}, got ${name ?? 'no name'}`);
  process.exit(2);
}
const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'build', 'examples');

await build({
  config: false,
  cwd: root,
  entry: [`scripts/examples/${name}.ts`],
  external: ['torch-curvature'],
  outDir: folder,
  clean: false,
  dts: false,
  fixedExtension: true,
  logLevel: 'error',
  platform: 'node',
  plugins: [inlineAssets],
  target: 'node20',
});
const { status } = spawnSync(process.execPath, [join(folder, `${name}.mjs`), ...options], {
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
