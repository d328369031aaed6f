/** Kronecker factors of data that come in batches: those of the batches add up. */
import type { OperatorHandle } from '../addon/requests.ts';
import type { ProcessGroup } from '../distributed/process-group.ts';
import { TorchCurvatureError } from '../errors.ts';
import { basisOf, join, type KroneckerOperator, together } from './kronecker-operator.ts';
import type { BatchProblem, Stream } from './streamed.ts';

/** What a part is made with beside the caller's options. */
interface PartFields {
  /** What a mean over all terms multiplies their sum by. */
  share: number;
  basis?: OperatorHandle;
}

/** Makes the operator of one batch. */
export type MakePart = (
  kind: 'kfac' | 'ekfac',
  batch: BatchProblem,
  fields: PartFields,
) => Promise<KroneckerOperator>;

/**
 * Of all batches, in one pass, and in one more for the eigenvalues of `ekfac`; with a group, of those of all its ranks, of
 * which some may have no rows.
 */
export async function factorsOver(
  stream: Stream,
  kind: 'kfac' | 'ekfac',
  make: MakePart,
  signal: AbortSignal | undefined,
  group?: ProcessGroup,
): Promise<KroneckerOperator> {
  const { share } = stream;
  const all = async (part: (batch: BatchProblem) => Promise<KroneckerOperator>) => {
    const own = await joined(stream, part, signal, group !== undefined);
    if (own === undefined) throw noRows(kind, group !== undefined);
    if (group === undefined) return own;
    using _ = own;
    // Awaited, as it may have to wait for its turn, and reads `own` then.
    return await together.promised(own, group, signal);
  };
  const factors = await all((batch) => make('kfac', batch, { share }));
  if (kind === 'kfac') return factors;
  using basis = factors;
  const { handle } = basis;
  using ofLayers = await all((batch) => make('ekfac', batch, { share, basis: handle }));
  using others = await basisOf.promised(basis, signal);
  return await join.promised(others, ofLayers, signal);
}

function noRows(kind: string, empty: boolean): TorchCurvatureError {
  const needed = empty ? 'a batch, which may be one without rows' : 'batches with at least one row';
  return new TorchCurvatureError('ERR_SHAPE_MISMATCH', `${kind} needs ${needed}`);
}

/**
 * Batches that are added one by one, before what they come to is added to the others: each addition rounds all of the sum.
 */
const TOGETHER = 64;

/** @param empty whether a batch without rows will do where there are no others */
async function joined(
  stream: Stream,
  make: (batch: BatchProblem) => Promise<KroneckerOperator>,
  signal: AbortSignal | undefined,
  empty: boolean,
): Promise<KroneckerOperator | undefined> {
  let all: KroneckerOperator | undefined;
  let some: KroneckerOperator | undefined;
  let count = 0;
  const plus = async (sum: KroneckerOperator | undefined, part: KroneckerOperator) => {
    if (sum === undefined) return part;
    using before = sum;
    using last = part;
    return await join.promised(before, last, signal);
  };
  try {
    for await (const batch of stream.pass(signal)) {
      if (batch.rows === 0 && (all !== undefined || some !== undefined || !empty)) continue;
      some = await plus(some, await make(batch));
      if (++count % TOGETHER > 0) continue;
      all = await plus(all, some);
      some = undefined;
    }
    return some === undefined ? all : await plus(all, some);
  } catch (error) {
    all?.dispose();
    some?.dispose();
    throw error;
  }
}
