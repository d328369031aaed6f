import { Command } from 'commander';
import { SORT_KEYS } from '../profiler/rows.ts';
import { compare, traceName } from './bench/compare.ts';
import { type ExperimentSpec, METHODS } from './bench/experiment.ts';
import { describeComparison, describeSetup } from './bench/print.ts';
import { startProgress } from './bench/progress.ts';
import { reportPage } from './bench/report.ts';
import { runSweep, sweepTable } from './bench/sweep.ts';
import { RunFailure, UsageError } from './failure.ts';
import { outputWidth } from './fit.ts';
import {
  choiceOption,
  chunkSizeOption,
  type Dtype,
  deviceOption,
  dtypeOption,
  positiveInteger,
  type SweepAxis,
  sweepAxis,
  threadsOption,
  wholeNumber,
} from './options.ts';
import { checkOutputFiles, checkOutputFolder, type OutputFile } from './output-file.ts';
import { writeJson, writeResult } from './write-file.ts';

const DEFAULT_REPORT = 'torch-curvature-sweep.html';

interface BenchOptions {
  hidden: number;
  layers: number;
  batch: number;
  inputs: number;
  outputs: number;
  dtype: Dtype;
  device: string;
  threads?: number;
  chunkSize?: number;
  seed: number;
  repeat?: number;
  sortBy: string;
  rowLimit: number;
  sweep?: SweepAxis;
  json?: string;
  trace?: string;
  html?: string;
}

/** `executable` is the script of this command line; fresh processes are started from it. */
export function benchCommand(executable: string): Command {
  return new Command('bench')
    .description('Compare the dense and the on-the-fly product JᵀJ v of a tanh MLP: numbers, time, memory.')
    .option('--hidden <n>', 'width of the hidden layers', positiveInteger, 64)
    .option('--layers <n>', 'number of hidden layers', positiveInteger, 2)
    .option('--batch <n>', 'samples', positiveInteger, 4096)
    .option('--inputs <n>', 'features of a sample', positiveInteger, 4)
    .option('--outputs <n>', 'outputs of the model', positiveInteger, 1)
    .addOption(dtypeOption('precision').default('float32'))
    .addOption(deviceOption())
    .addOption(threadsOption())
    .addOption(chunkSizeOption())
    .option('--seed <n>', 'of the model, the batch and the vector', wholeNumber, 0)
    .option(
      '--repeat <n>',
      'timed runs of each product (default: what fits in some seconds)',
      positiveInteger,
    )
    .addOption(
      choiceOption('--sort-by <key>', "column that sorts the profiler's tables", SORT_KEYS).default(
        'cpu_memory_usage',
      ),
    )
    .option('--row-limit <n>', "rows of the profiler's tables", positiveInteger, 10)
    .option('--sweep <axis>', 'go over a range as well: hidden=16,32,64 or batch=… or layers=…', sweepAxis)
    .option('--html <file>', `report of the sweep (default: ${DEFAULT_REPORT})`)
    .option('--json <file>', 'write the results as JSON')
    .option('--trace <dir>', 'write Chrome traces of both products')
    .action((options: BenchOptions) => run(executable, options));
}

async function run(executable: string, options: BenchOptions): Promise<void> {
  if (options.html !== undefined && options.sweep === undefined) {
    throw new UsageError('--html is the report of a sweep: give --sweep as well');
  }
  const html = options.sweep === undefined ? undefined : (options.html ?? DEFAULT_REPORT);
  await checkOutputs(options, html);

  const spec = experimentSpec(options);
  const progress = startProgress(3 + (options.sweep === undefined ? 0 : 2 * options.sweep.values.length));
  try {
    progress.note(describeSetup(spec, outputWidth()));
    const comparison = await compare(executable, spec, { ...options, progress });
    progress.note(describeComparison(comparison, outputWidth()));

    const sweep =
      options.sweep === undefined ? undefined : await runSweep(executable, spec, options.sweep, progress);
    if (sweep !== undefined && html !== undefined) {
      progress.note(sweepTable(sweep, outputWidth()));
      await writeResult(html, reportPage(comparison, sweep));
      progress.note(`Report: ${html}\n`);
    }
    if (options.json !== undefined) {
      const results = { ...comparison.results, ...(sweep === undefined ? {} : { sweep: sweep.points }) };
      await writeJson(options.json, results);
    }

    const failures = [...comparison.failures, ...(sweep?.failures ?? [])];
    if (failures.length > 0) throw new RunFailure(failures.join('; '));
  } finally {
    progress.stop();
  }
}

async function checkOutputs({ json, trace }: BenchOptions, html: string | undefined): Promise<void> {
  const files: OutputFile[] = [];
  if (html !== undefined) {
    files.push({ option: '--html', path: html, extensions: ['.html', '.htm'], makeFolder: true });
  }
  if (json !== undefined) {
    files.push({ option: '--json', path: json, extensions: ['.json'], makeFolder: true });
  }
  await checkOutputFiles(files);
  if (trace !== undefined) await checkOutputFolder('--trace', trace, METHODS.map(traceName));
}

function experimentSpec(options: BenchOptions): ExperimentSpec {
  const { hidden, layers, batch, inputs, outputs, dtype, device, seed, threads, chunkSize } = options;
  return {
    ...{ hidden, layers, batch, inputs, outputs, dtype, device, seed },
    ...(threads === undefined ? {} : { threads }),
    ...(chunkSize === undefined ? {} : { chunkSize }),
  };
}
