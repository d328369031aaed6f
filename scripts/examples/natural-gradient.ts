/**
 * Regression with the natural gradient: each step solves (JᵀJ/N + λI) d = ∇L with conjugate gradients, never building J.
 * Compared with Adam from the same start, for as long as the natural gradient took.
 *
 *     npm run example:natural-gradient [-- --steps 60 --seed 0 --html natural-gradient.html --json FILE]
 */
import { cg, type FloatArray, Generator, gramian, linearize, Model, nn, type Tensor } from 'torch-curvature';
import { Adam } from './shared/adam.ts';
import { parseOptions, save, startBar } from './shared/cli.ts';
import { type Curve, page } from './shared/page.ts';

const ROWS = 1024;
const options = parseOptions({ steps: '60', seed: '0', html: 'natural-gradient.html', json: '' });

const model = Model.sequential([nn.linear(2, 32), nn.tanh(), nn.linear(32, 32), nn.tanh(), nn.linear(32, 1)]);
const generator = new Generator(Number(options.seed));
const start = model.init({ generator, dtype: 'float64' });
const x = generator.uniform([ROWS, 2], { low: -1, high: 1, dtype: 'float64' });
const target = Float64Array.from({ length: ROWS }, (_, row) => truth(x.data[2 * row]!, x.data[2 * row + 1]!));

/** The function to learn: waves that bend. */
function truth(a: number, b: number): number {
  return Math.sin(4 * a + 2 * b * b) * Math.cos(3 * b);
}

/** Residuals y − t, and the mean of their squares. */
function residuals({ data }: Tensor<FloatArray>): { residual: Float64Array; loss: number } {
  const residual = target.map((value, row) => data[row]! - value);
  return { residual, loss: residual.reduce((sum, each) => sum + each * each, 0) / ROWS };
}

const lossAt = async (params: FloatArray) => residuals(await model.forward(params, x)).loss;

/** The gradient of the loss, (2/N) Jᵀ r, beside the loss itself. */
async function gradientAt(params: FloatArray) {
  using linearisation = await linearize({ model, params, x });
  const { residual, loss } = residuals(linearisation.output);
  const gradient = await linearisation.vjp({
    data: residual.map((each) => (2 / ROWS) * each),
    shape: [ROWS, 1],
  });
  return { gradient, loss };
}

async function naturalGradient(steps: number): Promise<Curve> {
  const bar = startBar('natural gradient', steps);
  const curve: Curve = { name: 'natural gradient', seconds: [], losses: [] };
  const begin = performance.now();
  let params: FloatArray = start.slice();
  let damping = 1e-2;
  for (let step = 0; step < steps; step++) {
    const { gradient, loss } = await gradientAt(params);
    curve.seconds.push((performance.now() - begin) / 1000);
    curve.losses.push(loss);
    // Twice the mean of the per-sample J Jᵀ is the Gauss-Newton matrix of the mean of squares.
    using fisher = (await gramian({ model, params, x })).scale(2 / ROWS);
    for (;;) {
      using damped = fisher.damp(damping);
      const { x: direction } = await cg(damped, gradient, { tolerance: 1e-4, maxIterations: 200 });
      const candidate = params.map((each, i) => each - direction[i]!);
      if ((await lossAt(candidate)) < loss) {
        params = candidate;
        damping = Math.max(damping / 3, 1e-12);
        break;
      }
      damping *= 4;
      if (damping > 1e6) break;
    }
    bar.update(step + 1, { loss: loss.toExponential(2) });
  }
  bar.stop();
  curve.seconds.push((performance.now() - begin) / 1000);
  curve.losses.push(await lossAt(params));
  return curve;
}

async function adam(seconds: number): Promise<Curve> {
  const bar = startBar('Adam, as long', Math.ceil(seconds * 1000));
  const curve: Curve = { name: 'Adam', seconds: [], losses: [] };
  const optimiser = new Adam(start.slice(), 3e-3);
  const begin = performance.now();
  for (let elapsed = 0; elapsed < seconds; elapsed = (performance.now() - begin) / 1000) {
    const { gradient, loss } = await gradientAt(optimiser.params);
    curve.seconds.push(elapsed);
    curve.losses.push(loss);
    optimiser.step(gradient);
    bar.update(Math.floor(elapsed * 1000), { loss: loss.toExponential(2) });
  }
  bar.stop();
  return curve;
}

const natural = await naturalGradient(Number(options.steps));
const plain = await adam(natural.seconds.at(-1)!);
for (const { name, seconds, losses } of [natural, plain]) {
  const time = `${seconds.at(-1)!.toFixed(1)} s, ${losses.length - 1} steps`;
  console.log(`${name.padEnd(16)} loss ${losses.at(-1)!.toExponential(2)} after ${time}`);
}
await save(options.json, JSON.stringify({ natural, adam: plain }));
await save(
  options.html,
  await page('Regression with the natural gradient', [
    {
      title: `Mean squared error of a 2-32-32-1 tanh network on ${ROWS} points, over time`,
      x: 'seconds',
      y: 'loss',
      logarithmic: 'y',
      curves: [natural, plain].map(({ name, seconds, losses }) => ({ name, x: seconds, y: losses })),
    },
  ]),
);
