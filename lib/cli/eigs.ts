import { Command, Option } from 'commander';
import { page } from '../../scripts/report/page.mjs';
import { type Eigenpairs, eigsh, type LinearOperator } from '../index.ts';
import { type EigshEnd, ENDS } from '../solvers/reasons.ts';
import { RunFailure } from './failure.ts';
import { fitTable, outputWidth } from './fit.ts';
import { formatMs } from './format.ts';
import { writeNpy } from './npy.ts';
import { checkOperatorOptions, type OperatorOptions, operatorOptions } from './operator.ts';
import { amount, choiceOption, positiveInteger } from './options.ts';
import { checkOutputFiles } from './output-file.ts';
import { describeOperator, figure, jsonHead, outputFiles, showAfter } from './results.ts';
import { solveOn } from './solve.ts';
import { writeJson, writeResult } from './write-file.ts';

interface EigsOptions extends OperatorOptions {
  k?: number;
  which: EigshEnd;
  tolerance?: number;
  maxIterations?: number;
  basis?: number;
  out?: string;
  vectors?: string;
  json?: string;
  html?: string;
}

export function eigsCommand(): Command {
  const command = new Command('eigs').description(
    'Find some eigenvalues and eigenvectors of a curvature matrix of a model.',
  );
  return operatorOptions(command)
    .option('--k <n>', 'how many, by default 6', positiveInteger)
    .addOption(
      choiceOption(
        '--which <end>',
        'largest or smallest by magnitude (LM, SM) or value (LA, SA), or half from each end (BE)',
        ENDS,
      ).default('LM'),
    )
    .addOption(
      new Option('--tolerance <number>', 'on the residual relative to the eigenvalue').argParser(amount),
    )
    .option('--max-iterations <n>', 'the most products', positiveInteger)
    .option('--basis <n>', 'Lanczos vectors kept', positiveInteger)
    .option('--out <file>', 'eigenvalues, ascending (.npy)')
    .option('--vectors <file>', 'eigenvectors, one a row (.npy)')
    .option('--json <file>', 'write the results as JSON')
    .option('--html <file>', 'write a report')
    .action((options: EigsOptions) => run(options, command));
}

async function run(options: EigsOptions, command: Command): Promise<void> {
  const kind = checkOperatorOptions(options, command);
  const { out, vectors, json, html, k, which, tolerance, maxIterations, basis, seed, threads } = options;
  await checkOutputFiles(outputFiles({ out, vectors, json, html }));
  const given = {
    which,
    ...(k !== undefined && { k }),
    ...(tolerance !== undefined && { tolerance }),
    ...(maxIterations !== undefined && { maxIterations }),
    ...(basis !== undefined && { basis }),
    ...(seed !== undefined && { seed }),
    ...(threads !== undefined && { threads }),
  };
  const solve = (op: LinearOperator) => eigsh(op, given);
  await solveOn(kind, options, { task: 'Lanczos' }, solve, async (op, found, ms) => {
    const count = found.eigenvalues.length;
    const { eigenvalues, residualNorms, iterations, converged, reason, message } = found;
    const results = {
      ...{ which, eigenvalues: [...eigenvalues], residualNorms: [...residualNorms] },
      ...{ iterations, converged, reason, message },
    };
    await showAfter(
      async () => {
        if (out !== undefined) await writeNpy(out, found.eigenvalues, [count]);
        if (vectors !== undefined) await writeNpy(vectors, found.eigenvectors, [count, op.shape[0]]);
        if (json !== undefined) await writeJson(json, { ...jsonHead('eigs', options, op, ms), ...results });
        if (html !== undefined) await writeResult(html, report(options, op, found));
      },
      describe(options, op, found, ms),
    );
    if (!converged) throw new RunFailure(`the eigenvalues did not converge: ${message}`);
  });
}

const HEAD = ['', 'eigenvalue', 'residual'];

const rows = ({ eigenvalues, residualNorms }: Eigenpairs): string[][] =>
  Array.from(eigenvalues, (value, i) => [String(i + 1), figure(value), residualNorms[i]!.toExponential(1)]);

function describe(options: EigsOptions, op: LinearOperator, found: Eigenpairs, ms: number): string {
  const table = fitTable(HEAD, rows(found), outputWidth());
  return `${describeOperator(options, op)}\n${table}\n${found.iterations} products, ${formatMs(ms)}`;
}

function report(options: EigsOptions, op: LinearOperator, found: Eigenpairs): string {
  const { eigenvalues, converged, message } = found;
  return page({
    title: `Eigenvalues of ${describeOperator(options, op)}`,
    introduction: converged ? `${found.iterations} products.` : message,
    sections: [
      {
        title: 'Eigenvalues',
        id: 'eigenvalues',
        plot: {
          x: { label: 'number, ascending' },
          y: { label: 'eigenvalue' },
          curves: [
            {
              label: 'eigenvalue',
              x: Array.from(eigenvalues, (_, i) => i + 1),
              y: [...eigenvalues],
              dots: 'only',
            },
          ],
        },
      },
      { title: 'Numbers', table: { head: HEAD, rows: rows(found) } },
    ],
  });
}
