/**
 * Starts the example server and sends it valid, invalid, huge and aborted requests, some at once. Prints what happened; exits
 * with 1 when an answer was not what it should be, a number was wrong, the server grew, or it did not end as it should.
 */
import { parseArgs } from 'node:util';
import { buildExample } from '../examples/build.mjs';
import { Client } from './client.mjs';
import { kindsOf } from './kinds.mjs';
import { judge, print } from './report.mjs';
import { Samples } from './samples.mjs';
import { startServer } from './server.mjs';

const options = readOptions();
const server = await startServer(await buildExample('server'));
try {
  const client = new Client(server.url);
  const kinds = await kindsOf(client);
  const samples = await Samples.start(client);
  const outcomes = await drive(kinds, options.minutes * 60_000, options.concurrency);
  const rest = await samples.end();
  const end = await server.stop(() => kinds.find(({ name }) => name === 'solve').send());
  const run = { ...options, outcomes, samples, rest, end };
  const faults = judge(run);
  print(run, faults);
  process.exitCode = faults.length === 0 ? 0 : 1;
} finally {
  server.kill();
}

/**
 * Requests of all kinds, drawn by their weights, `concurrency` at any moment.
 * @param {import('./kinds.mjs').Kind[]} kinds
 * @param {number} duration milliseconds
 * @param {number} concurrency
 */
async function drive(kinds, duration, concurrency) {
  const outcomes = [];
  const lots = kinds.flatMap((kind) => new Array(kind.weight).fill(kind));
  const end = performance.now() + duration;
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (performance.now() < end) {
        const kind = lots[Math.floor(Math.random() * lots.length)];
        const start = performance.now();
        const outcome = await kind
          .send()
          .catch((error) => ({ fault: `${error.message} ${error.cause ?? ''}` }));
        outcomes.push({ kind: kind.name, time: performance.now() - start, ...outcome });
      }
    }),
  );
  return outcomes;
}

function readOptions() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '1' },
      concurrency: { type: 'string', default: '8' },
    },
  });
  const [minutes, concurrency] = [Number(values.minutes), Number(values.concurrency)];
  if (!(minutes > 0 && Number.isSafeInteger(concurrency) && concurrency > 0)) {
    console.error('--minutes and --concurrency should be positive numbers');
    process.exit(2);
  }
  return { minutes, concurrency };
}
