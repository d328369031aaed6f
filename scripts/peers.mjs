/**
 * torch-curvature, PyTorch and JAX side by side, in one interleaved run.
 *
 *     npm run bench:peers -- [--case NAME …] [--curves] [--threads 1,2] [--dtype float32,float64] [--rounds 7]
 *                            [--device cuda] [--json FILE] [--html FILE]
 *
 * On a GPU JAX takes part where $PYTHON has one that knows it, and no peak is measured.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { CURVES, TABLE } from './peers/cases.mjs';
import { peersPage } from './peers/page.mjs';
import { measurePeak } from './peers/peak.mjs';
import { hasJax, pythonWithPeers } from './peers/python.mjs';
import { costs, Disagreement, race, ratios } from './peers/race.mjs';
import { startPeers } from './peers/worker.mjs';

const { values } = parseArgs({
  options: {
    case: { type: 'string', multiple: true },
    curves: { type: 'boolean', default: false },
    threads: { type: 'string', default: String(Math.min(2, availableParallelism())) },
    dtype: { type: 'string', default: 'float32,float64' },
    rounds: { type: 'string', default: '7' },
    device: { type: 'string', default: 'cpu' },
    json: { type: 'string' },
    html: { type: 'string' },
  },
});
const threadCounts = values.threads.split(',').map(Number);
const dtypes = values.dtype.split(',');
const cases = chooseCases();

const { device } = values;
if (device !== 'cpu' && device !== 'cuda') {
  console.error(`--device should be cpu or cuda, the first GPU, got ${device}`);
  process.exit(2);
}
const python = await pythonWithPeers(device);
if (python === undefined) {
  console.log('Comparison with the peers skipped.');
  process.exit(0);
}

const jax = await hasJax(python, device);
const peak = device === 'cpu' ? await measurePeak(Math.max(...threadCounts)) : undefined;
for (const { threads, float32, float64 } of peak ?? []) {
  console.log(
    `Peak of multiply-adds, ${threads} thread${threads === 1 ? '' : 's'}: ${float32} GFLOP/s float32, ${float64} float64`,
  );
}

const races = [];
const disagreements = [];
for (const threads of threadCounts) {
  const peers = startPeers({ python, threads, device });
  try {
    for (const each of cases) {
      for (const dtype of each.dtypes.filter((dtype) => dtypes.includes(dtype))) {
        const rounds = Number(values.rounds);
        try {
          const outcome = await race(each, { dtype, threads, rounds, python, device, jax, peers });
          races.push({ ...outcome, ratios: ratios(outcome.results), costs: costs(outcome.results) });
          report(races.at(-1));
        } catch (error) {
          if (!(error instanceof Disagreement)) throw error;
          console.log(`\n${error.message}`);
          disagreements.push(error.message);
          process.exitCode = 1;
        }
      }
    }
  } finally {
    await peers.end();
  }
}
await save(values.json, () => `${JSON.stringify({ peak, races, disagreements }, null, 2)}\n`);
await save(values.html, () => peersPage({ peak, races }));

function chooseCases() {
  const all = [...TABLE, ...CURVES];
  if (values.case === undefined) return values.curves ? all : TABLE;
  const unknown = values.case.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined) {
    console.error(`No case '${unknown}'; there are: ${all.map(({ name }) => name).join('; ')}`);
    process.exit(2);
  }
  return all.filter(({ name }) => values.case.includes(name));
}

function report({
  name,
  batch,
  flops,
  parameters,
  dtype,
  threads,
  device,
  versions,
  results,
  ratios,
  costs,
}) {
  const described = Object.entries(versions).map(([peer, version]) => `${peer} ${version}`);
  console.log(
    `\n${name}: P = ${parameters}, batch ${batch}, ${dtype}, ${device}, ${threads} thread${threads === 1 ? '' : 's'}; ${described.join(', ')}`,
  );
  const table = new Table({
    head: ['', 'min ms', 'median ms', 'ours / theirs', 'of peak', 'peak memory, MB', 'difference'],
    style: { head: [], border: [] },
    colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'],
  });
  for (const { title, way, minMs, medianMs, peakBytes, difference } of results) {
    table.push([
      title,
      minMs.toPrecision(3),
      medianMs.toPrecision(3),
      ratios.find((each) => each.title === title)?.ratio.toFixed(3) ?? '',
      way === 'linearized' ? ofPeak(flops, minMs, dtype, threads) : '',
      peakBytes === undefined ? '' : (peakBytes / 1e6).toFixed(0),
      difference.toExponential(0),
    ]);
  }
  console.log(table.toString());
  console.log(
    `Cost of a product linearized once, in gradients: ${costs.ours.toFixed(2)} (PyTorch: ${costs.torch.toFixed(2)})`,
  );
}

/** What a product by the plain chain rule would need, as a share of the peak; other ways of computing may pass 100 %. */
function ofPeak(flops, ms, dtype, threads) {
  const most = peak?.find((each) => each.threads === threads)?.[dtype];
  return most === undefined ? '' : `${((100 * flops) / (ms * 1e6) / most).toFixed(0)} %`;
}

async function save(file, content) {
  if (file === undefined) return;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, await content());
  console.log(`Written: ${file}`);
}
