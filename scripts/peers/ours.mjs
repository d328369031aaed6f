/** This package's side, speaking the protocol of `peer.py`. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import {
  info,
  linearizeSync,
  lossAndGradientSync,
  Model,
  matvecDenseSync,
  matvecOnTheFlySync,
  nn,
  profile,
} from 'torch-curvature';

let ways = {};
/** Of the case at hand. */
let kept;

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  console.log(JSON.stringify(await answer(request)));
}

async function answer(request) {
  if ('case' in request) {
    kept?.dispose();
    kept = undefined;
    ways = await makeExperiment(request);
    return { versions: { libtorch: info().libtorchVersion } };
  }
  if ('memoryOf' in request) {
    const before = peakResidentBytes();
    ways[request.memoryOf]();
    return { bytes: peakResidentBytes() - before };
  }
  if ('flopsOf' in request) {
    const { profile: recorded } = await profile(ways[request.flopsOf], { withFlops: true });
    return { flops: recorded.keyAverages().reduce((sum, { flops }) => sum + flops, 0) };
  }
  const run = ways[request.run];
  const ms = [];
  let result;
  for (let i = 0; i < request.times; i++) {
    const start = performance.now();
    result = run();
    ms.push(performance.now() - start);
  }
  if (request.result) writeFileSync(request.result, Float64Array.from(result));
  return { ms };
}

async function makeExperiment({ case: each, folder, dtype, threads, device }) {
  const Kind = dtype === 'float64' ? Float64Array : Float32Array;
  const read = (name, Numbers = Kind) => {
    const bytes = readFileSync(`${folder}/${name}.bin`);
    return new Numbers(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  };
  const model = each.file === undefined ? mlp(each.widths) : await Model.load(`${folder}/model.pt2`);
  const x = { data: read('x', each.vocabulary == null ? Kind : BigInt64Array), shape: each.xShape };
  const problem = { model, params: read('params'), x };
  const v = read('v');
  const options = { threads, device };
  const { shape } = model.forwardSync(problem.params, problem.x, { device });
  const zeros = { data: new Kind(shape.reduce((a, b) => a * b, 1)), shape };
  const squares = { ...problem, loss: 'mse', target: zeros };
  return {
    gradient: () => lossAndGradientSync(squares, options).gradient,
    dense: () => matvecDenseSync(problem, v, options),
    oneShot: () => matvecOnTheFlySync(problem, v, options),
    linearized() {
      kept ??= linearizeSync(problem, options);
      return kept.matvecSync(v);
    },
  };
}

function mlp(widths) {
  const layers = widths.slice(1).flatMap((width, index) => [nn.linear(widths[index], width), nn.tanh()]);
  return Model.sequential(layers.slice(0, -1));
}

/** Of this program alone: on Linux, getrusage would count the parent's peak from before exec. */
function peakResidentBytes() {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}
