/** Operators of the data of all ranks of a group that are no sums of those of the ranks. */
import { addon } from '../addon/addon.ts';
import { type FloatArray, numel } from '../arrays.ts';
import { type ProcessGroup, placeAmong } from '../distributed/process-group.ts';
import { TorchCurvatureError } from '../errors.ts';
import type { ModelOperator } from './kinds.ts';
import { LinearOperator, type Space } from './linear-operator.ts';
import type { Stream } from './streamed.ts';

/** What is made, in words that are the same on all ranks if they make the same. */
function subjectOf(kind: ModelOperator, options: object): string {
  const text = (_: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value);
  return `${kind} ${JSON.stringify(options, text)}`;
}

/**
 * Has what is made of a stream be a share of the mean over the data of all ranks; gives the rows before its first one.
 *
 * @param own options that are the same on all ranks
 */
export async function factorsShared(
  group: ProcessGroup,
  kind: ModelOperator,
  stream: Stream,
  own: object,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { reduction } = stream;
  const subject = subjectOf(kind, { ...own, reduction });
  const said = await group.said([stream.rows, stream.divisor], subject, signal && { signal });
  const ofRanks = (at: number) => said.map((each) => each[at]!);
  stream.divisor = placeAmong(ofRanks(1), group.rank).total;
  return placeAmong(ofRanks(0), group.rank).before;
}

/** How rows are put together. */
interface Stacking {
  /** Of each row of this rank: what its roots have been multiplied by already. */
  weights?: FloatArray | undefined;
  /** Subtracts the mean over the rows of all ranks. */
  center: boolean;
  /** Of `ntk`. */
  trace?: boolean;
  signal?: AbortSignal;
}

/**
 * `jacobian`, `perSampleGradients` or `ntk` with the rows of all ranks, in the order of these.
 *
 * @param own the rows of this rank, for `ntk` those of its Jacobian
 */
export async function stacked(
  group: ProcessGroup,
  kind: ModelOperator,
  own: LinearOperator,
  { weights, center, trace = false, signal }: Stacking,
): Promise<LinearOperator> {
  const how = signal && { signal };
  const [rows, row] = rowsOf(own);
  const subject = subjectOf(kind, { center, trace });
  const said = await group.said([rows, numel(row)], subject, how);
  const { before, total } = placeAmong(
    said.map(([each]) => each!),
    group.rank,
  );
  const outputShape = [total, ...commonRow(said, row)];
  const ofAll = center
    ? await group.allGather(
        Float64Array.from(weights ?? { length: rows }, (each) => each ?? 1),
        how,
      )
    : undefined;
  const handle = addon().operatorStacked({
    operator: own.handle,
    group: group.handle,
    outputShape,
    before,
    weights: ofAll,
    kernel: kind === 'ntk',
    trace,
  });
  const ofRows: Space = { kind: 'outputs', shape: trace ? outputShape.slice(0, 1) : outputShape };
  return new LinearOperator(handle, kind, ofRows, kind === 'ntk' ? ofRows : own.columnSpace, group);
}

/** How many rows there are, and the shape of the outputs of one. */
function rowsOf({ space, shape: [height] }: LinearOperator): [rows: number, row: readonly number[]] {
  if (space.kind !== 'outputs') return [height, []];
  const [rows = height, ...row] = space.shape;
  return [rows, row];
}

/** A rank without rows may not know what its model makes of them. */
function commonRow(said: readonly number[][], own: readonly number[]): readonly number[] {
  const widths = new Set(said.filter(([rows]) => rows! > 0).map(([, width]) => width!));
  const [width = numel(own), ...others] = widths;
  if (others.length > 0) {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `the models of the ranks have ${[...widths].join(' and ')} outputs for each row: they should be the same`,
    );
  }
  return width === numel(own) ? own : [width];
}
