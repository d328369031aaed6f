import { Command, Option } from 'commander';
import { type Model, matvecDense, matvecOnTheFly, tensor } from '../index.ts';
import { UsageError } from './failure.ts';
import { readModel } from './model-file.ts';
import { readFlatNpy, readNpy, writeNpy } from './npy.ts';
import { chunkSizeOption, deviceOption, threadsOption, wholeNumber } from './options.ts';
import { checkOutputFiles } from './output-file.ts';

interface MatvecOptions {
  model: string;
  trusted?: boolean;
  x: string;
  v: string;
  out: string;
  params?: string;
  seed?: number;
  method: 'on-the-fly' | 'dense';
  device: string;
  threads?: number;
  chunkSize?: number;
}

/** Looked for here: commander would miss them before it noticed that one of them is there, but misspelled. */
const REQUIRED = new Set(['model', 'x', 'v', 'out']);

export function matvecCommand(): Command {
  return new Command('matvec')
    .description('Compute JᵀJ v of a model, from files to a file.')
    .option(
      '--model <file>',
      'an exported model (.pt2), TorchScript (.pt), or layers: {"layers": [["linear", 4, 64], …]} (.json)',
    )
    .option('--trusted', 'the model is TorchScript, which is code, from someone you trust')
    .option('--x <file>', 'inputs, first axis the batch (.npy)')
    .option('--v <file>', 'the vector, in the order of the parameters (.npy, float32 or float64)')
    .option('--out <file>', 'where the product goes (.npy)')
    .option('--params <file>', "parameters, flat (.npy, of the kind of v); by default the model file's own")
    .addOption(
      new Option('--seed <n>', "instead of --params: PyTorch's default initialization from this seed")
        .argParser(wholeNumber)
        .conflicts('params'),
    )
    .addOption(
      new Option('--method <name>', 'how to compute it')
        .choices(['on-the-fly', 'dense'])
        .default('on-the-fly'),
    )
    .addOption(deviceOption())
    .addOption(threadsOption())
    .addOption(chunkSizeOption())
    .action((options: MatvecOptions, command: Command) => run(options, command));
}

async function run(options: MatvecOptions, command: Command): Promise<void> {
  for (const { long, flags } of command.options) {
    if (!REQUIRED.has(long!.slice(2)) || command.getOptionValue(long!.slice(2)) !== undefined) continue;
    command.error(`error: required option '${flags}' not specified`);
  }
  await checkOutputFiles([{ option: '--out', path: options.out, extensions: ['.npy'] }]);
  const model = await readModel(options.model, options.trusted ?? false);
  const [x, v] = await Promise.all([readNpy(options.x), readFlatNpy(options.v)]);
  const params = await parameters(model, v instanceof Float64Array ? 'float64' : 'float32', options);
  const product = options.method === 'dense' ? matvecDense : matvecOnTheFly;
  const { device, threads, chunkSize } = options;
  const result = await product({ model, params, x: tensor(x.data, x.shape) }, v, {
    device,
    ...(threads === undefined ? {} : { threads }),
    ...(chunkSize === undefined ? {} : { chunkSize }),
  });
  await writeNpy(options.out, result, [result.length]);
}

async function parameters(model: Model, dtype: 'float32' | 'float64', { params, seed }: MatvecOptions) {
  if (params !== undefined) return readFlatNpy(params);
  if (seed !== undefined) return model.init({ seed, dtype });
  if (model.initialParameters !== undefined) return model.initialParameters;
  throw new UsageError('a layer list carries no weights: give --params FILE, or --seed N to initialize them');
}
