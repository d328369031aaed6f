/**
 * Tests with sanitizers: `npm run test:sanitize -- [--calls N] [--seed N] [--cases PATTERN] [address | addon | thread …]`.
 *
 * - `address`: the core's tests with AddressSanitizer and UndefinedBehaviorSanitizer
 * - `addon`: the addon with AddressSanitizer and UndefinedBehaviorSanitizer, called by the fuzzer of the API
 * - `thread`: the core's tests with ThreadSanitizer; by name only, as it takes longest
 *
 * The first two where none is named; each goes on where another fails. libtorch itself is not instrumented: what is seen
 * is our code, what it inlines of libtorch's, and memory that either frees.
 */
import { parseArgs } from 'node:util';
import { fuzzAddon } from './sanitize/addon.mjs';
import { testCore } from './sanitize/core.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    calls: { type: 'string', default: '20000' },
    seed: { type: 'string', default: '1' },
    cases: { type: 'string', default: '*' },
  },
});

/** @type {Record<string, () => Promise<string>>} */
const PARTS = {
  address: () => testCore('sanitize', [`-tc=${values.cases}`]),
  addon: () => fuzzAddon({ calls: Number(values.calls), seed: Number(values.seed) }),
  thread: () => testCore('tsan', [`-tc=${values.cases}`]),
};
const unknown = positionals.find((name) => !(name in PARTS));
if (unknown !== undefined)
  throw new Error(`unknown part '${unknown}'; known are ${Object.keys(PARTS).join(', ')}`);

const lines = [];
for (const name of positionals.length > 0 ? positionals : ['address', 'addon']) {
  const start = performance.now();
  const [verdict, what] = await PARTS[name]().then(
    (done) => ['ok    ', done],
    (error) => ['FAILED', error.message],
  );
  lines.push(`${verdict} ${name.padEnd(7)} ${what} (${Math.round((performance.now() - start) / 1000)} s)`);
}
for (const line of lines) console.log(line);
process.exitCode = lines.some((line) => line.startsWith('FAILED')) ? 1 : 0;
