import { Command } from 'commander';
import { type LinearOperator, trace } from '../index.ts';
import { formatMs } from './format.ts';
import { checkOperatorOptions, type OperatorOptions, operatorOptions } from './operator.ts';
import { choiceOption, positiveInteger } from './options.ts';
import { checkOutputFiles } from './output-file.ts';
import { describeOperator, figure, jsonHead, outputFiles, showAfter } from './results.ts';
import { solveOn } from './solve.ts';
import { writeJson } from './write-file.ts';

interface TraceOptions extends OperatorOptions {
  method: 'hutchinson' | 'hutch++';
  samples: number;
  json?: string;
}

export function traceCommand(): Command {
  const command = new Command('trace').description('Estimate the trace of a curvature matrix of a model.');
  return operatorOptions(command)
    .addOption(
      choiceOption('--method <name>', 'how to estimate it', ['hutchinson', 'hutch++']).default('hutchinson'),
    )
    .option('--samples <n>', 'products with the matrix', positiveInteger, 30)
    .option('--json <file>', 'write the results as JSON')
    .action((options: TraceOptions) => run(options, command));
}

async function run(options: TraceOptions, command: Command): Promise<void> {
  const kind = checkOperatorOptions(options, command);
  const { json, method, samples, seed, threads } = options;
  await checkOutputFiles(outputFiles({ json }));
  const given = {
    ...{ method, samples },
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
  };
  const solve = (op: LinearOperator) => trace(op, given);
  await solveOn(kind, options, { task: method, total: () => samples }, solve, async (op, found, ms) => {
    const { estimate, standardError, products } = found;
    const results = { method, samples, seed: seed ?? 0, estimate, standardError, products };
    await showAfter(
      async () => {
        if (json !== undefined) await writeJson(json, { ...jsonHead('trace', options, op, ms), ...results });
      },
      `${describeOperator(options, op)}\n` +
        `trace ${figure(estimate)}, standard error ${figure(standardError)}, ${products} products, ${formatMs(ms)}`,
    );
  });
}
