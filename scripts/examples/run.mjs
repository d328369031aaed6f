/** Compiles an example and runs it: `node scripts/examples/run.mjs natural-gradient [options]`. */
import { spawnSync } from 'node:child_process';
import { buildExample, NAMES } from './build.mjs';

const [name, ...options] = process.argv.slice(2);
if (!NAMES.includes(name)) {
  console.error(`the examples are ${NAMES.join(', ')}, got ${name ?? 'no name'}`);
  process.exit(2);
}
const { status } = spawnSync(process.execPath, [await buildExample(name), ...options], { stdio: 'inherit' });
process.exitCode = status ?? 1;
