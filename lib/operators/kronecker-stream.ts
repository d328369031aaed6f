/** Kronecker factors of data that come in batches: those of the batches add up. */
import type { OperatorHandle } from '../addon/requests.ts';
import { TorchCurvatureError } from '../errors.ts';
import { basisOf, join, type KroneckerOperator } from './kronecker-operator.ts';
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

/** Of all batches: in one pass, and in one more for the eigenvalues of `ekfac`. */
export async function factorsOver(
  stream: Stream,
  kind: 'kfac' | 'ekfac',
  make: MakePart,
  signal: AbortSignal | undefined,
): Promise<KroneckerOperator> {
  const { share } = stream;
  const factors = await joined(stream, (batch) => make('kfac', batch, { share }), undefined, signal);
  if (factors === undefined) {
    throw new TorchCurvatureError('ERR_SHAPE_MISMATCH', `${kind} needs batches with at least one row`);
  }
  if (kind === 'kfac') return factors;
  using basis = factors;
  const { handle } = basis;
  const parts = (batch: BatchProblem) => make('ekfac', batch, { share, basis: handle });
  return (await joined(stream, parts, await basisOf.promised(basis, signal), signal))!;
}

async function joined(
  stream: Stream,
  make: (batch: BatchProblem) => Promise<KroneckerOperator>,
  start: KroneckerOperator | undefined,
  signal: AbortSignal | undefined,
): Promise<KroneckerOperator | undefined> {
  let sum = start;
  for await (const batch of stream.pass(signal)) {
    if (batch.rows === 0) continue;
    const part = await make(batch);
    if (sum === undefined) {
      sum = part;
      continue;
    }
    using before = sum;
    using last = part;
    sum = await join.promised(before, last, signal);
  }
  return sum;
}
