/**
 * What a call costs besides its arithmetic: products on a model so small (2-4-1, 4 rows) that computing them takes one
 * or two microseconds. Prints the least microseconds for each call.
 *
 *     npm run bench:overhead -- [--json]
 */
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { gramian, linearize, Model, matvecOnTheFly, matvecOnTheFlySync, nn } from 'torch-curvature';

/** Most microseconds that a call on the calling thread may take, and that a promise may add to it. */
const SYNC_TARGET = 15;
const ASYNC_TARGET = 60;

const ROUNDS = 40;
const CALLS = 100;

const { values: options } = parseArgs({ options: { json: { type: 'boolean', default: false } } });

const model = Model.sequential([nn.linear(2, 4), nn.tanh(), nn.linear(4, 1)]);
const params = model.init({ seed: 0 });
const x = { data: Float32Array.from({ length: 8 }, (_, i) => Math.sin(i)), shape: [4, 2] };
const problem = { model, params, x };
const v = params.map(Math.cos);
const out = new Float32Array(v.length);
const linearization = await linearize(problem);
const operator = await gramian(problem);

const PRODUCTS = {
  matvecOnTheFly: {
    sync: () => matvecOnTheFlySync(problem, v),
    syncOut: () => matvecOnTheFlySync(problem, v, { out }),
    async: () => matvecOnTheFly(problem, v),
  },
  'linearization.matvec': {
    sync: () => linearization.matvecSync(v),
    syncOut: () => linearization.matvecSync(v, { out }),
    async: () => linearization.matvec(v),
  },
  'operator.matvec': {
    sync: () => operator.matvecSync(v),
    syncOut: () => operator.matvecSync(v, { out }),
    async: () => operator.matvec(v),
  },
};

const results = [];
for (const [product, ways] of Object.entries(PRODUCTS)) {
  const sync = leastMicroseconds(ways.sync);
  const syncOut = leastMicroseconds(ways.syncOut);
  const promised = await leastMicrosecondsAsync(ways.async);
  results.push({ product, sync, syncOut, asyncAdds: promised - sync });
}
console.log(
  options.json
    ? JSON.stringify({ targets: { sync: SYNC_TARGET, asyncAdds: ASYNC_TARGET }, results })
    : table(),
);

/** The first round, which compiles, never is the least. */
function leastMicroseconds(call) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) call();
    least = Math.min(least, performance.now() - start);
  }
  return (least / CALLS) * 1000;
}

async function leastMicrosecondsAsync(call) {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) await call();
    least = Math.min(least, performance.now() - start);
  }
  return (least / CALLS) * 1000;
}

function table() {
  const head = ['µs per call, least', 'Sync', 'Sync with out', 'a promise adds'];
  const rows = new Table({ head, style: { head: [], border: [] } });
  for (const { product, sync, syncOut, asyncAdds } of results) {
    rows.push([product, ...[sync, syncOut, asyncAdds].map((each) => each.toFixed(1))]);
  }
  rows.push(['target', `≤ ${SYNC_TARGET}`, `≤ ${SYNC_TARGET}`, `≤ ${ASYNC_TARGET}`]);
  return rows.toString();
}
