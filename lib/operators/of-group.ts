/** Operators of the data of all ranks of a group that are no sums of those of the ranks. */
import { addon } from '../addon/addon.ts';
import { describeShape, type FloatArray, MOST_AXES } from '../arrays.ts';
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
  const said = await group.said([rows, ...numbersOf(row)], subject, how);
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

/** A shape in as many numbers as any other: what ranks say is of one length. */
function numbersOf(shape: readonly number[]): number[] {
  return [shape.length, ...shape, ...Array(MOST_AXES - shape.length).fill(0)];
}

/**
 * The shape of the outputs of a row. A rank without rows may not know what its model makes of them.
 *
 * @param said of each rank, the number of its rows and that shape
 */
function commonRow(said: readonly number[][], own: readonly number[]): readonly number[] {
  const shapes = said.filter(([rows]) => rows! > 0).map(([, axes, ...sizes]) => sizes.slice(0, axes));
  const [row = own] = shapes;
  const different = new Set(shapes.map(describeShape));
  if (different.size > 1) {
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `the outputs of a row have the shapes ${[...different].join(' and ')} on the ranks: they should be the same`,
    );
  }
  return row;
}
