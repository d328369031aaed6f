/**
 * What the tests run of the sources: `npm run coverage -- [--only native | typescript] [--cases PATTERN] [FILE …]`.
 *
 * C++: `native/core` by the core's tests, or by the cases chosen; `native/binding` is not in the figures, as Node.js loads
 * the addon of the set-up. TypeScript: `lib/` by vitest, with all tests or the files named; what runs in processes that
 * tests start is not in the figures. Pages and tracefiles are left in `coverage/`.
 */
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { coverNative } from './coverage/native.mjs';
import { table } from './coverage/table.mjs';
import { coverTypeScript } from './coverage/typescript.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'coverage');

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: 'string' }, cases: { type: 'string', default: '*' } },
});
if (values.only !== undefined && !['native', 'typescript'].includes(values.only))
  throw new Error(`--only ${values.only}: it should be native or typescript`);

const tables = [];
if (values.only !== 'typescript') {
  const files = coverNative(root, out, [`-tc=${values.cases}`]);
  tables.push(`C++, by the core's tests (coverage/native.info)\n${table(files)}`);
}
if (values.only !== 'native') {
  const files = coverTypeScript(root, out, positionals);
  tables.push(`TypeScript, by vitest (coverage/typescript/index.html)\n${table(files)}`);
}
console.log(tables.join('\n\n'));
