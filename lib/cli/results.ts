/** What commands on an operator say of it, for people and in their JSON. */
import { info, type LinearOperator } from '../index.ts';
import type { OperatorOptions } from './operator.ts';
import type { OutputFile } from './output-file.ts';
import type { HowOptions, LossOptions } from './problem-options.ts';

/** The head of a command's JSON; its own results follow. */
export function jsonHead(
  command: string,
  options: OperatorOptions,
  op: LinearOperator,
  milliseconds: number,
) {
  const { model, operator } = options;
  return {
    ...{ command, model, operator, ...lossFacts(options) },
    ...{ shape: op.shape, dtype: op.dtype, device: op.device, engine: op.engine },
    ...runFacts(options, milliseconds),
  };
}

/** Of JSON: which loss, if any. */
export const lossFacts = ({ loss, reduction }: LossOptions) =>
  loss === undefined ? {} : { loss, reduction: reduction ?? 'mean' };

/** Of JSON: what computed, and how long it took. */
export function runFacts({ threads }: HowOptions, milliseconds: number) {
  const { libtorchVersion, threads: all } = info();
  return { threads: threads ?? all, libtorchVersion, milliseconds };
}

/** `hessian of net.pt2, [4545, 4545], float32 on cpu` */
export function describeOperator({ operator, model }: OperatorOptions, op: LinearOperator): string {
  return `${operator} of ${model}, [${op.shape.join(', ')}], ${op.dtype} on ${op.device}`;
}

/** Writes files and then shows what was found: also where one cannot be written, as it is all that is left then. */
export async function showAfter(writeFiles: () => Promise<void>, text: string): Promise<void> {
  try {
    await writeFiles();
  } finally {
    process.stdout.write(`${text}\n`);
  }
}

/** A figure as tables show it. */
export const figure = (value: number) => String(Number(value.toPrecision(6)));

const EXTENSIONS = { out: ['.npy'], vectors: ['.npy'], json: ['.json'], html: ['.html', '.htm'] } as const;

/** The files that options of these names ask for. */
export function outputFiles(
  paths: {
    [Name in keyof typeof EXTENSIONS]?: string | undefined;
  },
): OutputFile[] {
  return Object.entries(paths).flatMap(([name, path]) =>
    path === undefined
      ? []
      : [{ option: `--${name}`, path, extensions: EXTENSIONS[name as keyof typeof EXTENSIONS] }],
  );
}
