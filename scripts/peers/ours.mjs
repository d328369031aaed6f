/**
 * This package's side of the comparison with PyTorch, speaking the protocol of `seed_script.py --serve`: requests are
 * JSON objects, one a line: {"run": method, "times": n, "result": true} gives {"ms": […], "result": […]}.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Generator, info, Model, matvecDenseSync, matvecOnTheFlySync, nn } from 'torch-curvature';

const { values } = parseArgs({
  options: {
    inputs: { type: 'string', default: '4' },
    hidden: { type: 'string', default: '64' },
    layers: { type: 'string', default: '2' },
    outputs: { type: 'string', default: '1' },
    batch: { type: 'string', default: '4096' },
    seed: { type: 'string', default: '0' },
    dtype: { type: 'string', default: 'float32' },
    threads: { type: 'string' },
    'memory-of': { type: 'string' },
  },
});

const sizes = [values.inputs, ...Array(Number(values.layers)).fill(values.hidden), values.outputs].map(
  Number,
);
const layers = sizes.slice(1).flatMap((width, index) => [nn.linear(sizes[index], width), nn.tanh()]);
const model = Model.sequential(layers.slice(0, -1));
const { dtype } = values;
const generator = new Generator(Number(values.seed));
const params = model.init({ generator, dtype });
const x = generator.randn([Number(values.batch), sizes[0]], { dtype });
const v = model.flatten(
  Object.fromEntries(
    model.parameters.map(({ name, shape }) => [name, generator.randn(shape, { dtype }).data]),
  ),
);
const problem = { model, params, x };
const options = values.threads === undefined ? {} : { threads: Number(values.threads) };
const methods = {
  dense: () => matvecDenseSync(problem, v, options),
  onTheFly: () => matvecOnTheFlySync(problem, v, options),
};

if (values['memory-of'] !== undefined) {
  const before = peakResidentBytes();
  methods[values['memory-of']]();
  console.log(peakResidentBytes() - before);
} else {
  console.log(
    JSON.stringify({ libtorch: info().libtorchVersion, threads: options.threads ?? info().threads }),
  );
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const reply = { ms: [] };
    for (let i = 0; i < request.times; i++) {
      const start = performance.now();
      const result = methods[request.run]();
      reply.ms.push(performance.now() - start);
      if (request.result && i === request.times - 1) reply.result = [...result];
    }
    console.log(JSON.stringify(reply));
  }
}

/** Of this program alone: on Linux, getrusage would count the parent's peak from before exec. */
function peakResidentBytes() {
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
}
