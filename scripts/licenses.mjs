/**
 * Lists the licenses of all npm packages that package-lock.json names, and fails where one is unknown or not in the list of
 * those that this project may use: `npm run licenses`, or `node scripts/licenses.mjs other-lock.json`.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { unaccepted } from './licenses/accepted.mjs';

const lock = process.argv[2] ?? fileURLToPath(new URL('../package-lock.json', import.meta.url));
const packages = Object.entries(JSON.parse(readFileSync(lock, 'utf8')).packages)
  .filter(([path]) => path !== '')
  .map(([path, { version, license, dev = false }]) => ({
    name: `${path.split('node_modules/').at(-1)} ${version}`,
    license,
    dev,
  }));

for (const [title, some] of [
  ['installed with the package', packages.filter(({ dev }) => !dev)],
  ['for development', packages.filter(({ dev }) => dev)],
]) {
  console.log(`${title}: ${some.length} packages`);
  const licenses = [...new Set(some.map(({ license }) => license ?? 'unknown'))].sort();
  for (const license of licenses) {
    const count = some.filter((each) => (each.license ?? 'unknown') === license).length;
    console.log(`  ${String(count).padStart(4)}  ${license}`);
  }
}

const bad = unaccepted(packages);
for (const { name, license } of bad) {
  console.error(
    `${name}: ${license === undefined ? 'its license is unknown' : `${license} is not accepted`}`,
  );
}
process.exitCode = bad.length === 0 ? 0 : 1;
