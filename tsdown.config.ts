import { defineConfig } from 'tsdown';

export default defineConfig([
  {
    entry: { index: 'lib/index.ts' },
    format: ['esm', 'cjs'],
    platform: 'node',
    target: 'node20',
    dts: true,
    fixedExtension: true,
    sourcemap: true,
    clean: true,
  },
  {
    entry: { cli: 'lib/cli/main.ts' },
    format: ['esm'],
    platform: 'node',
    target: 'node20',
    dts: false,
    fixedExtension: true,
    sourcemap: true,
    clean: false,
  },
]);
