import { Command, Option } from 'commander';
import { page } from '../../scripts/report/page.mjs';
import { type LinearOperator, type SpectralDensity, spectralDensity } from '../index.ts';
import { RunFailure } from './failure.ts';
import { fitTable, outputWidth } from './fit.ts';
import { formatMs } from './format.ts';
import { writeNpy } from './npy.ts';
import { checkOperatorOptions, type OperatorOptions, operatorOptions } from './operator.ts';
import { amount, positiveInteger, positiveNumber } from './options.ts';
import { checkOutputFiles } from './output-file.ts';
import { describeOperator, figure, jsonHead, outputFiles, showAfter } from './results.ts';
import { solveOn } from './solve.ts';
import { writeJson, writeResult } from './write-file.ts';

interface SpectrumOptions extends OperatorOptions {
  probes: number;
  steps: number;
  gridPoints?: number;
  margin?: number;
  sigma?: number;
  out?: string;
  json?: string;
  html?: string;
}

export function spectrumCommand(): Command {
  const command = new Command('spectrum').description(
    'Estimate the density of the eigenvalues of a curvature matrix of a model, by Lanczos quadrature.',
  );
  return operatorOptions(command)
    .option('--probes <n>', 'random start vectors', positiveInteger, 10)
    .option('--steps <n>', 'Lanczos steps for each', positiveInteger, 80)
    .option('--grid-points <n>', 'points of the density, by default 1024', positiveInteger)
    .addOption(
      new Option('--margin <number>', 'of the grid beyond the eigenvalues, relative to their span').argParser(
        amount,
      ),
    )
    .addOption(
      new Option('--sigma <number>', 'width of the Gaussians that broaden it').argParser(positiveNumber),
    )
    .option('--out <file>', 'the grid and the density on it, [2, points] (.npy)')
    .option('--json <file>', 'write the results as JSON')
    .option('--html <file>', 'write a report')
    .action((options: SpectrumOptions) => run(options, command));
}

async function run(options: SpectrumOptions, command: Command): Promise<void> {
  const kind = checkOperatorOptions(options, command);
  const { out, json, html, probes, steps, gridPoints, margin, sigma, seed, threads } = options;
  await checkOutputFiles(outputFiles({ out, json, html }));
  const given = {
    ...{ probes, steps },
    ...(gridPoints !== undefined && { gridPoints }),
    ...(margin !== undefined && { margin }),
    ...(sigma !== undefined && { sigma }),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
  };
  const total = ({ shape }: LinearOperator) => probes * Math.min(steps, shape[0]);
  const solve = (op: LinearOperator) => spectralDensity(op, given);
  await solveOn(kind, options, { task: 'Lanczos', total }, solve, async (op, found, ms) => {
    const { grid, density, nodes, weights, products, finite } = found;
    if (!finite) throw new RunFailure('the products gave NaN or infinity, of which there is no density');
    const results = {
      ...{ probes, steps: nodes.shape[1], seed: seed ?? 0, products },
      ...{ grid: [...grid], density: [...density], nodes: [...nodes.data], weights: [...weights.data] },
    };
    await showAfter(
      async () => {
        if (out !== undefined) await writeNpy(out, Float64Array.of(...grid, ...density), [2, grid.length]);
        if (json !== undefined)
          await writeJson(json, { ...jsonHead('spectrum', options, op, ms), ...results });
        if (html !== undefined) await writeResult(html, report(options, op, found));
      },
      describe(options, op, found, ms),
    );
  });
}

/** Shares of the eigenvalues that the table goes by. */
const SHARES = [0, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1];

/** Below which value each share of all eigenvalues lies, by the quadrature's nodes and weights. */
export function quantiles({
  nodes,
  weights,
}: Pick<SpectralDensity, 'nodes' | 'weights'>): [number, number][] {
  const pairs = Array.from(nodes.data, (node, i) => [node, weights.data[i]!] as const).sort(
    (a, b) => a[0] - b[0],
  );
  const all = pairs.reduce((sum, [, weight]) => sum + weight, 0);
  let sum = 0;
  let next = 0;
  return SHARES.map((share) => {
    while (next < pairs.length - 1 && sum + pairs[next]![1] < share * all * (1 - 1e-12)) {
      sum += pairs[next]![1];
      next += 1;
    }
    return [share, pairs[next]![0]];
  });
}

const HEAD = ['share of the eigenvalues', 'up to'];

const rows = (found: SpectralDensity) =>
  quantiles(found).map(([share, value]) => [`${figure(100 * share)} %`, figure(value)]);

function describe(options: SpectrumOptions, op: LinearOperator, found: SpectralDensity, ms: number): string {
  const table = fitTable(HEAD, rows(found), outputWidth());
  return `${describeOperator(options, op)}\n${table}\n${found.products} products, ${formatMs(ms)}`;
}

/** What lies so far below the highest point is not drawn, as the axis is logarithmic. */
const DECADES = 1e-8;

function report(options: SpectrumOptions, op: LinearOperator, found: SpectralDensity): string {
  const { grid, density, products } = found;
  const floor = density.reduce((most, each) => Math.max(most, each), 0) * DECADES;
  return page({
    title: `Eigenvalues of ${describeOperator(options, op)}`,
    introduction: `By stochastic Lanczos quadrature, ${products} products with ${options.probes} random vectors.`,
    sections: [
      {
        title: 'Density',
        id: 'density',
        plot: {
          x: { label: 'eigenvalue' },
          y: { label: 'density', logarithmic: true },
          curves: [
            {
              label: 'density',
              x: [...grid],
              y: Array.from(density, (each) => (each > floor ? each : null)),
            },
          ],
        },
      },
      { title: 'Numbers', table: { head: HEAD, rows: rows(found) } },
    ],
  });
}
