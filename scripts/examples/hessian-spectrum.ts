/**
 * The curvature of a loss: trains a classifier of three spirals, then finds the largest eigenvalues of the Hessian of its
 * loss and the density of all of them, by products with the Hessian alone.
 *
 *     npm run example:hessian-spectrum [-- --steps 300 --seed 0 --html hessian-spectrum.html --json FILE]
 */
import {
  eigsh,
  type FloatArray,
  Generator,
  hessian,
  linearize,
  Model,
  nn,
  spectralDensity,
} from 'torch-curvature';
import { Adam } from './shared/adam.ts';
import { parseOptions, save, startBar } from './shared/cli.ts';
import { page } from './shared/page.ts';

const ROWS = 600;
const CLASSES = 3;
const LARGEST = 6;
const options = parseOptions({ steps: '300', seed: '0', html: 'hessian-spectrum.html', json: '' });

const model = Model.sequential([
  nn.linear(2, 32),
  nn.tanh(),
  nn.linear(32, 32),
  nn.tanh(),
  nn.linear(32, CLASSES),
]);
const generator = new Generator(Number(options.seed));
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

/** Mean cross entropy and its gradient by the outputs, (softmax(y) − onehot)/N. */
function crossEntropy(y: FloatArray) {
  let loss = 0;
  const cotangent = new Float64Array(y.length);
  for (let row = 0; row < ROWS; row++) {
    const logits = y.subarray(row * CLASSES, (row + 1) * CLASSES);
    const largest = Math.max(...logits);
    const total = logits.reduce((sum, each) => sum + Math.exp(each - largest), 0);
    loss += (Math.log(total) + largest - logits[labels[row]!]!) / ROWS;
    logits.forEach((each, k) => {
      cotangent[row * CLASSES + k] = (Math.exp(each - largest) / total - Number(k === labels[row])) / ROWS;
    });
  }
  return { loss, cotangent };
}

async function train(steps: number): Promise<{ params: FloatArray; losses: number[] }> {
  const bar = startBar('training', steps);
  const optimiser = new Adam(start, 1e-2);
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    using linearisation = await linearize({ model, params: optimiser.params, x });
    const { loss, cotangent } = crossEntropy(linearisation.output.data);
    optimiser.step(await linearisation.vjp({ data: cotangent, shape: [ROWS, CLASSES] }));
    losses.push(loss);
    bar.update(step + 1, { loss: loss.toFixed(4) });
  }
  bar.stop();
  return { params: optimiser.params, losses };
}

const { params, losses } = await train(Number(options.steps));
const problem = { model, params, x, target, loss: 'cross_entropy' } as const;
using operator = await hessian(problem);

const bar = startBar('eigenvalues', 2);
const { eigenvalues, converged } = await eigsh(operator, { k: LARGEST, which: 'LA' });
bar.update(1, { loss: '' });
const density = await spectralDensity(operator, { probes: 8, steps: 60, seed: 0 });
bar.update(2, { loss: '' });
bar.stop();

const largest = [...eigenvalues].reverse();
console.log(`loss ${losses.at(-1)!.toFixed(4)} after ${losses.length} steps, P = ${model.parameterCount}`);
console.log(
  `largest eigenvalues${converged ? '' : ' (not converged)'}: ${largest.map((each) => each.toFixed(3)).join(', ')}`,
);
await save(options.json, JSON.stringify({ losses, eigenvalues: largest, converged, params: [...params] }));
await save(
  options.html,
  await page('The curvature of a loss', [
    {
      title: `Density of the eigenvalues of the Hessian (${model.parameterCount} of them), by Lanczos quadrature`,
      x: 'eigenvalue',
      y: 'density',
      logarithmic: 'y',
      curves: [
        {
          name: 'density',
          x: [...density.grid],
          y: [...density.density].map((each) => Math.max(each, 1e-6)),
        },
      ],
    },
    {
      title: `The ${LARGEST} largest eigenvalues`,
      x: 'index',
      y: 'eigenvalue',
      curves: [{ name: 'eigenvalue', x: largest.map((_, i) => i + 1), y: largest }],
    },
    {
      title: 'Training',
      x: 'step',
      y: 'loss',
      logarithmic: 'y',
      curves: [{ name: 'cross entropy', x: losses.map((_, i) => i), y: losses }],
    },
  ]),
);
