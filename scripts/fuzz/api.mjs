/**
 * Calls everything that the package exports as nobody should: `npm run fuzz:api -- [--calls N] [--seed N] [--batch N]
 * [--only TEXT]`. Each batch of calls has a seed of its own: `--calls` of a batch and its seed repeat it.
 */
import { parseArgs } from 'node:util';
import { fuzzApi } from './batches.mjs';
import { bundle } from './build.mjs';

const { values } = parseArgs({
  options: {
    calls: { type: 'string', default: '200000' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    batch: { type: 'string', default: '5000' },
    only: { type: 'string', default: '' },
  },
});
const [calls, size, seed] = [values.calls, values.batch, values.seed].map(Number);

const program = (await bundle({ 'fuzz-api': 'api/main.ts' }, ['torch-curvature', 'fast-check']))['fuzz-api'];
// What is larger fails to be allocated, as on a smaller machine.
const way = { program, only: values.only, hang: 5_000, addressSpace: 6 * 2 ** 30 };
process.exitCode = (await fuzzApi(way, { calls, size, seed })) === 0 ? 0 : 1;
