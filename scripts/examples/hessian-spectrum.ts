/**
 * The curvature of a loss: trains a classifier of three spirals with the natural gradient, then finds the largest and
 * smallest eigenvalues of the Hessian of its loss and the density of all of them, by products with the Hessian alone.
 *
 *     npm run example:hessian-spectrum [-- --steps 15 --seed 0 --threads 1 --html FILE --json FILE]
 */
import {
  bind,
  eigsh,
  type FloatArray,
  Generator,
  hessian,
  Model,
  nn,
  optim,
  spectralDensity,
} from 'torch-curvature';
import { page } from '../report/page.mjs';
import { parseOptions, save, startBar, wholeNumber } from './shared/cli.ts';

const ROWS = 600;
const CLASSES = 3;
/** Eigenvalues at each end. */
const ENDS = 6;
const options = parseOptions({
  steps: '15',
  seed: '0',
  /** A product of this size takes about a millisecond, too little to share. */
  threads: '1',
  html: 'build/hessian-spectrum.html',
  json: '',
});
const threads = wholeNumber(options.threads, 'threads');
const steps = wholeNumber(options.steps, 'steps');

const model = Model.sequential([
  nn.linear(2, 32),
  nn.tanh(),
  nn.linear(32, 32),
  nn.tanh(),
  nn.linear(32, CLASSES),
]);
const generator = new Generator(wholeNumber(options.seed, 'seed', 0));
const start = model.init({ generator, dtype: 'float64' });
const noise = generator.randn([ROWS, 2], { dtype: 'float64' }).data;
const labels = Int32Array.from({ length: ROWS }, (_, row) => row % CLASSES);
const x = {
  data: Float64Array.from({ length: 2 * ROWS }, (_, i) => spiral(i >> 1)[i % 2]! + 0.03 * noise[i]!),
  shape: [ROWS, 2],
};
const target = { data: labels, shape: [ROWS] };

/** A point on the arm of its class. */
function spiral(row: number): [number, number] {
  const radius = 0.1 + (0.9 * row) / ROWS;
  const angle = 5 * radius + (2 * Math.PI * labels[row]!) / CLASSES;
  return [radius * Math.cos(angle), radius * Math.sin(angle)];
}

/** The data stay in place: each step sends the parameters only. */
const bound = await bind({ model, x, target, loss: 'cross_entropy' });

async function train(): Promise<{ params: FloatArray; losses: number[] }> {
  const bar = startBar('training', steps);
  const optimizer = optim.naturalGradient(bound.at(start), { threads });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const { loss, candidateLoss, accepted } = await optimizer.step();
    if (step === 0) losses.push(loss);
    // A step that does not help is not taken, and the next one is damped more.
    losses.push(accepted ? candidateLoss : loss);
    bar.update(step + 1, losses.at(-1)!.toFixed(4));
  }
  bar.stop();
  return { params: optimizer.params, losses };
}

const { params, losses } = await train();
using operator = await hessian(bound.at(params), { threads });

const bar = startBar('spectrum', 3, 'largest eigenvalues');
const largest = await eigsh(operator, { k: ENDS, which: 'LA', threads });
bar.update(1, 'smallest eigenvalues');
const smallest = await eigsh(operator, { k: ENDS, which: 'SA', threads });
bar.update(2, 'density');
const { grid, density } = await spectralDensity(operator, { probes: 10, steps: 80, seed: 0, threads });
bar.update(3, '');
bar.stop();

const converged = largest.converged && smallest.converged;
const list = (values: Iterable<number>) => Array.from(values, (each) => each.toPrecision(4)).join(', ');
console.log(`loss ${losses.at(-1)!.toFixed(4)} after ${steps} steps, P = ${model.parameterCount}`);
console.log(`largest eigenvalues   ${list([...largest.eigenvalues].reverse())}`);
console.log(`smallest eigenvalues  ${list(smallest.eigenvalues)}`);
if (!converged) console.log('not all of them have converged');

await save(
  options.json,
  JSON.stringify({
    losses,
    params: [...params],
    x: [...x.data],
    labels: [...labels],
    largest: [...largest.eigenvalues],
    smallest: [...smallest.eigenvalues],
    converged,
    grid: [...grid],
    density: [...density],
  }),
);

/** Where the plot ends below. */
const FLOOR = 1e-5;
const ends = [...smallest.eigenvalues, ...largest.eigenvalues];
await save(
  options.html,
  page({
    title: 'The curvature of a loss',
    sections: [
      {
        title: `Density of the ${model.parameterCount} eigenvalues of the Hessian, by Lanczos quadrature; dots: the ends`,
        plot: {
          x: { label: 'eigenvalue' },
          y: { label: 'density', logarithmic: true },
          curves: [
            { label: 'density', x: [...grid], y: [...density].map((each) => Math.max(each, FLOOR)) },
            { label: 'eigenvalues found one by one', x: ends, y: ends.map(() => FLOOR), dots: 'only' },
          ],
        },
      },
      {
        title: `Training: cross entropy of a 2-32-32-${CLASSES} tanh network on ${ROWS} points of three spirals`,
        plot: {
          x: { label: 'step' },
          y: { label: 'loss', logarithmic: true },
          curves: [{ label: 'cross entropy', x: losses.map((_, i) => i), y: losses }],
        },
      },
    ],
  }),
);
