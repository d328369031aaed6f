/** What an exported model takes and returns. */
import type { RawPort } from '../../addon/program.ts';
import { describe } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { unsupported } from './failure.ts';
import { asCount, asList, asObject, asString, type Json, tagged } from './json.ts';
import { elementType } from './pt2-archive.ts';
import { type ElementType, partsOf } from './stored-tensor.ts';
import { leafNames } from './tree-names.ts';

/** Kinds of numbers that typed arrays hold for inputs; halves follow the precision of the parameters. */
const INPUT_TYPES = ['float32', 'float64', 'int32', 'int64', 'bool', 'uint8', 'float16', 'bfloat16'];

/** New values of inputs are for the run alone, tokens for the order of effects; of buffers see pt2-state.ts. */
const NO_RESULTS = ['user_input_mutation', 'token', 'buffer_mutation'];

/** A result of a model: a tensor of its graph. */
export interface Output {
  /** What it is called in the tuple or dictionary that the model returns. */
  name: string;
  /** Its number there. */
  index: number;
  /** Its name in the graph. */
  graphName: string;
  /** Of complex numbers: of pairs of their parts. */
  port: RawPort;
  isComplex: boolean;
}

/** An input, described with the symbols of the export; of complex numbers their parts as pairs along a last axis. */
export function readInput(name: string, graph: Json): { port: RawPort; isComplex: boolean } {
  const described = readPort(name, name, asObject(graph.tensor_values, 'tensor_values')[name]);
  const port = inPairs(described);
  if (!INPUT_TYPES.includes(port.dtype!)) {
    throw unsupported(
      `the input ${name} is of ${port.dtype}, for which there is no typed array; cast it inside of the model, from ` +
        'one of float32, float64, int32, int64, bool, uint8',
    );
  }
  return { port, isComplex: port !== described };
}

/** A port of complex numbers as one of pairs of their parts; another as it is. */
function inPairs(port: RawPort): RawPort {
  const parts = partsOf(port.dtype as ElementType);
  return parts === undefined ? port : { ...port, dtype: parts, shape: [...port.shape, 2] };
}

function readPort(name: string, graphName: string, described: unknown): RawPort {
  const meta = asObject(described, `the description of ${graphName}`);
  const shape = asList(meta.sizes, `the sizes of ${graphName}`).map((size) => {
    const [kind, value] = tagged(size, `a size of ${graphName}`);
    if (kind === 'as_int') return asCount(value, `a size of ${graphName}`);
    return expression(asString(asObject(value, kind).expr_str, `a size of ${graphName}`));
  });
  return { name, dtype: elementType(meta.dtype), shape };
}

/** `s31` for `Symbol('s31', positive=True, integer=True)`. */
function expression(text: string): string {
  return text.replaceAll(/Symbol\('(\w+)'[^)]*\)/g, '$1').replaceAll(/Integer\((-?\d+)\)/g, '$1');
}

/** The results that are tensors. */
export function readOutputs(graphModule: Json, graph: Json): Output[] {
  const specs = asList(asObject(graphModule.signature, 'signature').output_specs, 'output_specs');
  const outputs = specs
    .map((spec) => tagged(spec, 'an entry of output_specs'))
    .filter(([kind]) => !NO_RESULTS.includes(kind));
  const other = outputs.find(([kind]) => kind !== 'user_output');
  if (other !== undefined) {
    const names = Object.values(asObject(other[1], other[0])).filter((value) => typeof value === 'string');
    throw unsupported(
      `the model changes ${names.join(', ')} when it runs (${other[0]}); export it after eval()`,
    );
  }
  const leaves = leafNames(graphModule);
  const known = leaves?.length === outputs.length ? leaves : undefined;
  return outputs.flatMap(([, content], index) => {
    const [kind, arg] = tagged(asObject(content, 'an output').arg, 'an output');
    if (kind !== 'as_tensor') return [];
    const graphName = asString(asObject(arg, 'an output').name, 'the name of an output');
    const name = known?.[index] || graphName;
    const described = asObject(graph.tensor_values, 'tensor_values')[graphName];
    // Files that were not written by PyTorch may lack it.
    const port: RawPort =
      described === undefined ? { name, shape: ['...'] } : readPort(name, graphName, described);
    const pairs = inPairs(port);
    return [{ name, index, graphName, port: pairs, isComplex: pairs !== port }];
  });
}

/**
 * The one that `wanted` names, or numbers.
 *
 * @throws TorchCurvatureError `ERR_UNSUPPORTED_OP` where there are several and none is wanted; RangeError for one that
 * does not exist
 */
export function chooseOutput(outputs: readonly Output[], wanted: string | number | undefined): Output {
  if (outputs.length === 0) throw unsupported('the model returns no tensor');
  const list = outputs.map(({ name, index, port }) => `'${name}' (${index}, [${port.shape.join(', ')}])`);
  if (wanted === undefined) {
    if (outputs.length === 1) return outputs[0]!;
    const [{ name }] = outputs as [Output];
    throw unsupported(
      `the model returns ${outputs.length} tensors: ${list.join(', ')}. Choose the one that products are of, by its ` +
        `name or number: Model.load(file, { output: ${/^\d+$/.test(name) ? name : `'${name}'`} })`,
    );
  }
  const found =
    outputs.find(({ name, index }) => name === wanted || index === wanted) ??
    outputs.find(({ graphName }) => graphName === wanted);
  if (found === undefined) {
    throw outOfRange(
      `output should be one of those that the model returns: ${list.join(', ')}, got ${describe(wanted)}`,
    );
  }
  return found;
}

/** What is known of the batch: its rows where their number is fixed, and the ports with `batch` in its place. */
export interface Batch {
  rows: number | undefined;
  inputs: RawPort[];
  outputs: RawPort[];
}

/**
 * Finds the batch: what is the first axis of the result and of an input. Inputs of another first axis have no rows and
 * are the same for all of them.
 */
export function findBatch(inputs: readonly RawPort[], outputs: readonly RawPort[], result: RawPort): Batch {
  const size = batchSize(inputs, result);
  if (size === 0) throw unsupported('the model was exported for a batch of no rows');
  const named = (port: RawPort): RawPort => ({
    ...port,
    shape: port.shape.map((each, axis) =>
      typeof each === 'number' && axis > 0 ? each : inBatch(each, size),
    ),
  });
  const batch = {
    rows: typeof size === 'number' ? size : undefined,
    inputs: inputs.map(named),
    outputs: outputs.map(named),
  };
  for (const input of batch.inputs) {
    if (input.shape[0] !== 'batch') refuseInside(input, 'batch');
  }
  return batch;
}

/** Throws where the batch is in an axis of an input that is not its first. */
function refuseInside({ name, shape }: RawPort, batch: string): void {
  const axis = shape.findIndex((size) => typeof size === 'string' && size.split(/\W+/).includes(batch));
  if (axis < 0) return;
  throw unsupported(
    `the input ${name} has the batch in its axis ${axis} ([${shape.join(', ')}]), not in its first; export a model that ` +
      'takes it first and transposes it',
  );
}

function inBatch(size: number | string, batch: number | string): number | string {
  if (size === batch) return 'batch';
  if (typeof size === 'number' || typeof batch === 'number') return size;
  return size.replaceAll(new RegExp(`\\b${batch}\\b`, 'g'), 'batch');
}

/** The first axis of the result that is also one of an input; else that of the first input. */
function batchSize(inputs: readonly RawPort[], { name, shape: [size] }: RawPort): number | string {
  const first = inputs.map(({ shape }) => shape[0]);
  if (size !== undefined && first.includes(size)) return size;
  if (typeof size === 'string' && /^\w+$/.test(size)) {
    if (first.every((each) => typeof each !== 'string'))
      for (const input of inputs) refuseInside(input, size);
    throw unsupported(
      `the first axis of the output ${name} (${size}) is that of no input; the model should return the batch first`,
    );
  }
  const varying = first.find((each) => typeof each === 'string' && /^\w+$/.test(each));
  const found = varying ?? first.find((each) => each !== undefined);
  if (found === undefined) throw unsupported('no input of the model has an axis for the batch');
  return found;
}
