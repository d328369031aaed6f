/**
 * Regression with the natural gradient: each step solves (2/N JᵀJ + λI) d = −∇L with conjugate gradients, without ever
 * building J, and λ follows as Levenberg and Marquardt's. Compared with Adam from the same start, for as long as the natural gradient took.
 *
 *     npm run example:natural-gradient [-- --steps 150 --rate 0.01 --seed 0 --threads 1 --html FILE --json FILE]
 */
import { bind, Generator, lossAndGradient, Model, nn, optim } from 'torch-curvature';
import { page } from '../report/page.mjs';
import { Adam } from './shared/adam.ts';
import { parseOptions, save, startBar, wholeNumber } from './shared/cli.ts';

const ROWS = 1024;
const options = parseOptions({
  steps: '150',
  /** Adam's: of 0.001, 0.003, 0.01 and 0.03 the one that gets furthest here. */
  rate: '0.01',
  seed: '0',
  /** A product of this size takes a tenth of a millisecond, too little to share. */
  threads: '1',
  html: 'build/natural-gradient.html',
  json: '',
});
const threads = wholeNumber(options.threads, 'threads');
const steps = wholeNumber(options.steps, 'steps');

const model = Model.sequential([nn.linear(2, 32), nn.tanh(), nn.linear(32, 32), nn.tanh(), nn.linear(32, 1)]);
const generator = new Generator(wholeNumber(options.seed, 'seed', 0));
const start = model.init({ generator, dtype: 'float64' });
const x = generator.uniform([ROWS, 2], { low: -1, high: 1, dtype: 'float64' });
const target = {
  data: Float64Array.from({ length: ROWS }, (_, row) => truth(x.data[2 * row]!, x.data[2 * row + 1]!)),
  shape: [ROWS, 1],
};

/** The function to learn: waves that bend. */
function truth(a: number, b: number): number {
  return Math.sin(4 * a + 2 * b * b) * Math.cos(3 * b);
}

/** The data stay in place: each step sends the parameters only. */
const bound = await bind({ model, x, target, loss: 'mse' });

/** How the loss went down over time. */
class Curve {
  readonly seconds: number[] = [];
  readonly losses: number[] = [];
  readonly name: string;
  readonly #begin = performance.now();

  constructor(name: string) {
    this.name = name;
  }

  get elapsed(): number {
    return (performance.now() - this.#begin) / 1000;
  }

  add(loss: number): void {
    this.seconds.push(this.elapsed);
    this.losses.push(loss);
  }
}

async function naturalGradient(): Promise<Curve> {
  const bar = startBar('natural gradient', steps);
  const curve = new Curve('natural gradient');
  const optimizer = optim.levenbergMarquardt(bound.at(start), { maxIterations: 200, threads });
  for (let step = 0; step < steps; step++) {
    const { loss, candidateLoss, accepted } = await optimizer.step();
    curve.add(loss);
    bar.update(step, loss.toExponential(2));
    if (step === steps - 1) curve.add(accepted ? candidateLoss : loss);
  }
  bar.update(steps);
  bar.stop();
  return curve;
}

async function adam(seconds: number): Promise<Curve> {
  const bar = startBar('Adam, as long', seconds);
  const curve = new Curve('Adam');
  const optimizer = new Adam(start, Number(options.rate));
  while (curve.elapsed < seconds) {
    const { loss, gradient } = await lossAndGradient(bound.at(optimizer.params), { threads });
    curve.add(loss);
    bar.update(curve.elapsed, loss.toExponential(2));
    optimizer.step(gradient);
  }
  bar.update(seconds);
  bar.stop();
  return curve;
}

const natural = await naturalGradient();
const plain = await adam(natural.seconds.at(-1)!);
for (const { name, seconds, losses } of [natural, plain]) {
  const time = `${seconds.at(-1)!.toFixed(1)} s, ${losses.length - 1} steps`;
  console.log(`${name.padEnd(16)} lowest loss ${Math.min(...losses).toExponential(2)} in ${time}`);
}
await save(options.json, JSON.stringify({ natural, adam: plain }));
await save(
  options.html,
  page({
    title: 'Regression with the natural gradient',
    sections: [
      {
        title: `Mean squared error of a 2-32-32-1 tanh network on ${ROWS} points, over time`,
        plot: {
          x: { label: 'seconds' },
          y: { label: 'loss', logarithmic: true },
          curves: [natural, plain].map(({ name, seconds, losses }) => ({
            label: name,
            x: seconds,
            y: losses,
          })),
        },
      },
    ],
  }),
);
