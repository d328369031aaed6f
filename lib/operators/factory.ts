/** How the operators of a model are made, from what tells one kind from another. */

import { addon } from '../addon/addon.ts';
import { type Asked, acceptedBy, operation } from '../addon/operation.ts';
import type { OperatorHandle } from '../addon/requests.ts';
import { run } from '../addon/run.ts';
import { copyOf, type FloatArray, numel } from '../arrays.ts';
import { checkFloats, checkOptions } from '../check.ts';
import { type GroupOption, type ProcessGroup, readTogether, theGroup } from '../distributed/process-group.ts';
import type { Model } from '../model/model.ts';
import type { OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import { copyOfBatch } from '../problem/copies.ts';
import { type CenterOptions, type GivenLossProblem, lossFields, weightFields } from '../problem/loss.ts';
import type { Problem } from '../problem/problem.ts';
import { type GivenStreamedProblem, isStreamed } from '../problem/streamed-problem.ts';
import { Linearization, type LinearizeOptions, linearizeRequest } from '../products/linearize.ts';
import { MODEL_OPERATORS, type ModelOperator, type ModelOperatorRow } from './kinds.ts';
import { KroneckerOperator } from './kronecker-operator.ts';
import { factorsOver, type MakePart } from './kronecker-stream.ts';
import { LinearOperator, type Space } from './linear-operator.ts';
import { factorsShared, stacked } from './of-group.ts';
import { type BatchProblem, type Counts, Stream } from './streamed.ts';

type Options = LinearizeOptions & CenterOptions;

/** What an operator is made from: a model at a point, a linearization of one, or a problem with a loss. */
export type Source = Problem | GivenLossProblem | Linearization;

/** One whose names are checked by others. */
export type AnyStream = Omit<GivenStreamedProblem, 'loss' | 'reduction'>;

/**
 * The two forms of a function that makes operators of a model; the promised one takes a stream, too.
 *
 * @param kind its row of the table
 * @param names of its options; with `center` among them, it can be centered
 * @param own its own options as the addon takes them, checked
 * @param together the names of the promised one's options where it takes a group, too
 */
export function factory<Own extends Options>(
  kind: ModelOperator,
  names: OptionNames<Own>,
  own: (options: Own, source: Source | AnyStream, group?: ProcessGroup) => object = () => ({}),
  together?: OptionNames<Own & GroupOption>,
) {
  return {
    async promised(
      source: Source | AnyStream,
      options: (Own & GroupOption) | undefined,
    ): Promise<LinearOperator> {
      const { group: given, ...rest } = readTogether(
        options,
        () => (together ?? names).read(options) as Own & GroupOption,
      );
      const read = rest as unknown as Own;
      if (given !== undefined) {
        const group = theGroup(given, 'group');
        const fields = acceptedBy(group, () => {
          checkOptions(read);
          return own(read, source, group);
        });
        return group.inCommon(() => inGroup(group, kind, source, read, fields), read.signal);
      }
      const fields = own(read, source);
      if (isStreamed(source)) return ofStream(kind, source, read, fields);
      return CREATE.promised(kind, source as Source, read, fields);
    },
    sync(source: Source, options: Own | undefined): LinearOperator {
      const read = names.read(options);
      return CREATE.sync(kind, source, read, own(read, source));
    },
  };
}

const CREATE = operation((kind: ModelOperator, source: Source, options: Options, own: object) => {
  const { ofLoss } = MODEL_OPERATORS[kind];
  const request = ofLoss ? lossRequest(source as GivenLossProblem, options) : modelRequest(source, options);
  return {
    name: 'createOperator',
    request: { kind, ...request.request, ...own },
    signal: request.signal,
    describe: () => ({ kind, ...request.describe() }),
    result: (handle) => wrapped(handle, kind, request.model),
  } satisfies Asked<LinearOperator>;
});

function wrapped(handle: OperatorHandle, kind: ModelOperator, model: Model): LinearOperator {
  const { outputShape, rows: height, cols: width } = addon().operatorInfo(handle);
  const { rows, columns, factored }: ModelOperatorRow = MODEL_OPERATORS[kind];
  const [, ...row] = outputShape;
  const ofRow = numel(row);
  const space = (of: 'parameters' | 'outputs', length: number): Space =>
    of === 'parameters'
      ? { kind: of, model }
      : { kind: of, shape: ofRow === 0 ? outputShape : [length / ofRow, ...row] };
  const type = factored ? KroneckerOperator : LinearOperator;
  return new type(handle, kind, space(rows, height), space(columns, width));
}

function modelRequest(source: Source, options: Options) {
  if (Linearization.is(source)) {
    const { threads, chunkSize, signal } = checkOptions(options);
    const { outputShape, dtype, device, model, parameterCount } = source;
    const weights = weightFields(options, outputShape[0]!, dtype);
    const request = { linearization: source.handle, threads, chunkSize, ...weights };
    const describe = () => ({ device, dtype, parameterCount, batch: outputShape[0]! });
    return { request, signal, describe, model };
  }
  const { request, dtype, batch, ...rest } = linearizeRequest(checkProblem(source), options);
  return { ...rest, request: { ...request, ...weightFields(options, batch, dtype) } };
}

/** Used inside the package: the request of anything of a loss. */
export function lossRequest(problem: GivenLossProblem, options: Options) {
  const given = checkProblem(problem);
  const { request, dtype, batch, ...rest } = linearizeRequest(given, options);
  const fields = { ...lossFields(given, dtype), ...weightFields(options, batch, dtype) };
  return { ...rest, request: { ...request, ...fields } };
}

/** Of the data of all ranks. */
async function inGroup(
  group: ProcessGroup,
  kind: ModelOperator,
  source: Source | AnyStream,
  given: Options,
  own: { trace?: boolean },
): Promise<LinearOperator> {
  const center = checkCenter(given);
  const { center: _, ...options } = given;
  const { factored }: ModelOperatorRow = MODEL_OPERATORS[kind];
  if (factored) {
    const problem = isStreamed(source) ? source : inOneBatch(source as GivenLossProblem);
    const stream = await countedStream(kind, problem, options, own);
    const before = await factorsShared(group, kind, stream, own, options.signal);
    return factorsOver(stream, kind as 'kfac' | 'ekfac', partsOf(own, before), options.signal, group);
  }
  const ofRows = kind === 'ntk' ? 'jacobian' : kind;
  if (!isStreamed(source)) {
    const kept = withOwnWeights(options);
    using each = await CREATE.promised(ofRows, source as Source, kept, {});
    return await stacked(group, kind, each, { ...kept, ...own, center });
  }
  const stream = await countedStream(ofRows, source, options, {});
  using each = ofCounted(ofRows, stream, options, {});
  return await stacked(group, kind, each, { ...options, ...own, weights: stream.weights, center });
}

/** Used inside the package: the same with a copy of the weights, which are read once more when others were waited for. */
export function withOwnWeights<Given extends { weights?: FloatArray }>(options: Given): Given {
  const { weights } = options;
  return weights === undefined ? options : { ...options, weights: copyOf(checkFloats(weights, 'weights')) };
}

function inOneBatch(given: GivenLossProblem): GivenStreamedProblem {
  const { x, target, ...problem } = checkProblem(given);
  // The ranks meet before it is read.
  return { ...problem, batches: [copyOfBatch({ x, ...(target !== undefined && { target }) })] };
}

/** Over parameters it is the sum of those of the batches; others are made of the batches' Jacobians. */
async function ofStream(
  kind: ModelOperator,
  problem: GivenStreamedProblem,
  options: Options,
  own: object,
): Promise<LinearOperator> {
  const stream = await countedStream(kind, problem, options, own);
  const { factored }: ModelOperatorRow = MODEL_OPERATORS[kind];
  if (factored) return factorsOver(stream, kind as 'kfac' | 'ekfac', partsOf(own, 0), options.signal);
  return ofCounted(kind, stream, options, own);
}

function countedStream(kind: ModelOperator, problem: GivenStreamedProblem, options: Options, own: object) {
  checkCenter(options);
  const { ofLoss } = MODEL_OPERATORS[kind];
  const stream = new Stream(problem, options);
  return stream.count(ofLoss ? (batch, signal) => counted(batch, signal, { ...own, kind }) : undefined);
}

function checkCenter({ center }: Options): boolean {
  return weightFields({ ...(center !== undefined && { center }) }, 0, 'float64').center;
}

/** @param before rows that other processes have before the first of these */
function partsOf(own: object, before: number): MakePart {
  return (kind, { problem, options, firstRow }, fields) =>
    CREATE.promised(kind, problem, options, {
      ...own,
      ...fields,
      firstRow: before + firstRow,
    }) as Promise<KroneckerOperator>;
}

function ofCounted(
  kind: ModelOperator,
  stream: Stream,
  options: Options,
  own: { firstRow?: number; mcSamples?: number },
): LinearOperator {
  const centered = checkCenter(options);
  const { columns, ofLoss, regularized, antisymmetric, draws }: ModelOperatorRow = MODEL_OPERATORS[kind];
  const { firstRow: start = 0, mcSamples = 1 } = own;
  const make = ({ problem, options, firstRow }: BatchProblem, part: object = {}) =>
    CREATE.promised(kind, problem, options, { ...own, ...part, firstRow: start + firstRow });
  const rowsOf = (of: 'jacobian' | 'perSampleGradients') => {
    return ({ problem, options }: BatchProblem) => CREATE.promised(of, problem, options, {});
  };
  if (columns === 'outputs') return stream.ntk(rowsOf('jacobian'), centered);
  if (kind === 'jacobian' || kind === 'perSampleGradients')
    return stream.jacobian(kind, rowsOf(kind), centered);
  const traits = {
    regularized: regularized === true,
    antisymmetric: antisymmetric === true,
    draws: draws ? start : undefined,
  };
  return centered
    ? stream.centeredSum(kind, (batch, part) => make(batch, { part }), traits, ofLoss ? mcSamples : undefined)
    : stream.sum(kind, (batch) => make(batch), traits);
}

/** Used inside the package: what a batch's loss has: the same count that a problem in one piece divides its mean by. */
export async function counted(
  { problem, options }: BatchProblem,
  signal: AbortSignal | undefined,
  own: object,
): Promise<Counts> {
  const { request, describe } = lossRequest(problem, options);
  return run('lossCounts', { ...request, ...own }, signal, describe);
}
