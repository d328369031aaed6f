import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'tsdown';
import { inlineAssets } from '../report/inline-assets.mjs';

/** The examples by name, and where they begin. */
const ENTRIES = {
  'natural-gradient': 'natural-gradient.ts',
  'hessian-spectrum': 'hessian-spectrum.ts',
  'open-telemetry': 'open-telemetry.ts',
  distributed: 'distributed.ts',
  server: 'server/main.ts',
};

export const NAMES = Object.keys(ENTRIES);

const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, 'build', 'examples');

/**
 * Compiles an example. What it imports from `torch-curvature` is resolved when it runs, as in any program that uses the
 * package.
 * @param {string} name
 * @returns {Promise<string>} the module to run
 */
export async function buildExample(name) {
  await build({
    config: false,
    cwd: root,
    entry: { [name]: `scripts/examples/${ENTRIES[name]}` },
    external: ['torch-curvature', 'fastify', /^@opentelemetry\//],
    outDir: folder,
    clean: false,
    dts: false,
    fixedExtension: true,
    logLevel: 'error',
    platform: 'node',
    plugins: [inlineAssets],
    target: 'node20',
  });
  return join(folder, `${name}.mjs`);
}
