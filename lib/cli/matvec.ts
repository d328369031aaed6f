import { Command } from 'commander';
import { type FloatArray, matvecDense, matvecOnTheFly, type Tensor } from '../index.ts';
import type { ModelOperator } from '../operators/kinds.ts';
import { readFloats } from './arrays.ts';
import { UsageError } from './failure.ts';
import { writeNpy } from './npy.ts';
import { checkOperatorOptions, makeOperator, type OperatorOptions, operatorOptions } from './operator.ts';
import { choiceOption } from './options.ts';
import { checkOutputFiles } from './output-file.ts';
import { readProblem } from './problem.ts';
import { productOptions } from './problem-options.ts';
import { withStatus } from './products.ts';

interface MatvecOptions extends OperatorOptions {
  v: string;
  out: string;
  transpose?: boolean;
  method: 'on-the-fly' | 'dense';
}

export function matvecCommand(): Command {
  const command = new Command('matvec').description(
    'Compute the product of a curvature matrix of a model with a vector, from files to a file: by default JᵀJ v.',
  );
  return operatorOptions(command, { square: false })
    .option(
      '--v <file>',
      'the vector, over the parameters in their order (or .safetensors by name) or over the outputs; [k, n] for k',
    )
    .option('--transpose', 'multiply with the transposed matrix')
    .option('--out <file>', 'where the product goes (.npy)')
    .addOption(
      choiceOption('--method <name>', 'how to compute JᵀJ v', ['on-the-fly', 'dense']).default('on-the-fly'),
    )
    .action((options: MatvecOptions) => run(options, command));
}

async function run(options: MatvecOptions, command: Command): Promise<void> {
  const kind = checkOperatorOptions(options, command, ['v', 'out']);
  checkTogether(kind, options);
  await checkOutputFiles([{ option: '--out', path: options.out, extensions: ['.npy'] }]);
  const { data, shape } = await withStatus(`${options.operator} v`, () => product(kind, options));
  await writeNpy(options.out, data as FloatArray, [...shape]);
}

/** Whether it is JᵀJ as it is, of which one product needs no operator. */
const isPlain = (kind: ModelOperator, { weights, center }: MatvecOptions) =>
  kind === 'gramian' && weights === undefined && center === undefined;

function checkTogether(kind: ModelOperator, options: MatvecOptions): void {
  const { method, params, seed, fisher } = options;
  if (method === 'dense' && !isPlain(kind, options)) {
    throw new UsageError('--method dense is for --operator gramian without --weights and --center');
  }
  if (params !== undefined && seed !== undefined && kind !== 'fisher' && fisher !== 'mc') {
    throw new UsageError('--seed cannot be used with --params, as nothing is drawn then');
  }
}

async function product(kind: ModelOperator, options: MatvecOptions): Promise<Tensor> {
  const problem = await readProblem(options);
  const given = await readFloats(options.v);
  const v = 'record' in given ? given.record : given.data;
  const shape = 'record' in given ? [] : given.shape;
  const several = (columns: number) => shape.length === 2 && shape[1] === columns && shape[0] !== 1;
  const { transpose = false, method } = options;
  if (isPlain(kind, options) && !several(problem.model.parameterCount)) {
    const once = method === 'dense' ? matvecDense : matvecOnTheFly;
    return flat(await once(problem, v, productOptions(options)));
  }
  if (method === 'dense') throw new UsageError('--method dense takes one vector');
  using op = await makeOperator(kind, problem, options);
  const [rows, columns] = transpose ? [op.shape[1], op.shape[0]] : op.shape;
  if (!several(columns)) return flat(await (transpose ? op.rmatvec(v) : op.matvec(v)));
  const k = shape[0]!;
  const vectors = v as FloatArray;
  const data = await (transpose ? op.rmatmat(vectors, k) : op.matmat(vectors, k));
  return { data, shape: [k, rows] };
}

const flat = (data: FloatArray): Tensor => ({ data, shape: [data.length] });
