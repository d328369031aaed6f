/** Models that `torch.export.save` wrote. */

import type { RawPort, RawProgram } from '../../addon/program.ts';
import type { FloatArray, RawTensor } from '../../addon/values.ts';
import { type DType, floatArray } from '../../arrays.ts';
import { createProgram } from '../create-program.ts';
import { damaged, unsupported } from './failure.ts';
import { asList, asObject, asString, type Json, tagged } from './json.ts';
import type { LoadedModel } from './loaded-model.ts';
import { type ExportedProgram, readExportedProgram } from './pt2-archive.ts';
import { GraphReader, type Precision, tensorName } from './pt2-graph.ts';
import { type Pt2Parameter, Pt2Parameters } from './pt2-parameters.ts';
import { type Batch, chooseOutput, findBatch, type Output, readInput, readOutputs } from './pt2-ports.ts';
import { requireNoState } from './pt2-state.ts';
import type { Reading } from './reading.ts';
import {
  asPairs,
  countOf,
  elementSize,
  elements,
  isDirect,
  isHalf,
  partsOf,
  readElements,
  type StoredTensor,
  scalarTypeNumber,
} from './stored-tensor.ts';
import { ofNewerVersion } from './versions.ts';
import type { Archive } from './zip.ts';

/** Of torch/_export/serde/schema.py; a new major version changes the meaning of what there was. */
const SCHEMA_MAJOR = 8;

/** What the graph's inputs are: each has a name in the graph. */
interface Signature {
  parameters: Pt2Parameter[];
  constants: { name: string; graphName: string; tensor: StoredTensor }[];
  inputs: RawPort[];
  frozen: string[];
  /** Names in the graph of complex numbers, which are given as pairs of their parts. */
  complex: string[];
  /** Names of inputs that are numbers in the graph. */
  numbers: string[];
}

/** What the caller of `Model.load` asks for. */
export interface Pt2Options {
  /** Nodes that are taken at most. */
  maxNodes: number;
  /** Names or numbers the result where there are several. */
  output: string | number | undefined;
  /** The precision that everything is converted to. */
  dtype: DType | undefined;
}

/** Reads the archive. */
export async function readPt2(archive: Archive, reading: Reading, options: Pt2Options): Promise<LoadedModel> {
  const exported = await readExportedProgram(archive, reading);
  try {
    return await readExported(exported, reading, options);
  } catch (error) {
    throw ofNewerVersion(error, exported.json);
  }
}

async function readExported(
  exported: ExportedProgram,
  reading: Reading,
  { maxNodes, output, dtype }: Pt2Options,
): Promise<LoadedModel> {
  const { major } = asObject(exported.json.schema_version, 'schema_version');
  if (major !== SCHEMA_MAJOR) {
    const instead =
      Number(major) > SCHEMA_MAJOR
        ? 'export the model again with an older PyTorch, or use a newer torch-curvature'
        : 'export the model again with PyTorch 2.5 or later';
    throw damaged(`it has version ${major} of the export format, expected ${SCHEMA_MAJOR}: ${instead}`);
  }
  const graphModule = asObject(exported.json.graph_module, 'graph_module');
  const graph = asObject(graphModule.graph, 'graph');
  const signature = readSignature(asObject(graphModule.signature, 'signature'), graph, exported);
  const initialParameters = await flatten(signature, graph, dtype, reading);
  const outputs = readOutputs(graphModule, graph);
  const result = chooseOutput(outputs, output);
  requireNoState(graph, result.graphName, changedBuffers(graphModule, signature));
  const batch = findBatch(
    signature.inputs,
    outputs.map(({ port }) => port),
    result.port,
  );
  const precision = {
    type: signature.parameters[0]?.tensor.type ?? 'float32',
    converts: dtype !== undefined,
  };
  const program = await readProgram(signature, graph, result, batch, precision, reading, maxNodes);
  return {
    kind: 'pt2',
    program: await createProgram({ ...program, returned: outputs.indexOf(result) }, reading),
    initialParameters,
    frozen: signature.frozen,
  };
}

function readSignature(signature: Json, graph: Json, { weights, constants }: ExportedProgram): Signature {
  const result: Signature = {
    parameters: [],
    constants: [],
    inputs: [],
    frozen: [],
    complex: [],
    numbers: [],
  };
  const parameters = new Pt2Parameters();
  const find = (name: string): StoredTensor => {
    const tensor = weights.get(name) ?? constants.get(name);
    if (tensor === undefined) throw damaged(`the archive lacks the values of ${name}`);
    return tensor;
  };
  /** The tensor of a name in the graph, whose complex numbers become pairs. */
  const pairs = (graphName: string, tensor: StoredTensor): StoredTensor => {
    if (partsOf(tensor.type) !== undefined) result.complex.push(graphName);
    return asPairs(tensor);
  };

  for (const spec of asList(signature.input_specs, 'input_specs')) {
    const [kind, content] = tagged(spec, 'an entry of input_specs');
    const entry = asObject(content, kind);
    switch (kind) {
      case 'parameter': {
        const name = asString(entry.parameter_name, 'the name of a parameter');
        const graphName = tensorName(entry.arg, name);
        const tensor = pairs(graphName, find(name));
        if (tensor.requiresGrad) {
          parameters.add(name, graphName, tensor);
        } else {
          result.frozen.push(name);
          result.constants.push({ name, graphName, tensor });
        }
        break;
      }
      case 'buffer':
      case 'tensor_constant': {
        const name = asString(
          entry[kind === 'buffer' ? 'buffer_name' : 'tensor_constant_name'],
          `the name of a ${kind}`,
        );
        const graphName = tensorName(entry.arg, name);
        result.constants.push({ name, graphName, tensor: pairs(graphName, find(name)) });
        break;
      }
      case 'user_input':
        readUserInput(tagged(entry.arg, 'an input'), graph, result);
        break;
      case 'constant_input':
        break; // the graph has its value where it is used
      case 'token':
        break; // the order of effects
      case 'custom_obj':
        throw unsupported(
          `the model holds ${asString(entry.custom_obj_name, 'the name of an object')}, an object of a class in C++; compute what it gives before, and pass ` +
            'it as an input',
        );
      default:
        throw unsupported(`the model takes an input of the kind ${kind}`);
    }
  }
  if (result.inputs.length === 0) throw damaged('the model takes no tensor');
  result.parameters = parameters.inModuleOrder(weights);
  return result;
}

/** The buffers that the graph has new values for: names in the graph, and their own. */
function changedBuffers(graphModule: Json, { constants }: Signature): Map<string, string> {
  const specs = asList(asObject(graphModule.signature, 'signature').output_specs, 'output_specs');
  const changed = specs.flatMap((spec) => {
    const [kind, content] = tagged(spec, 'an entry of output_specs');
    if (kind !== 'buffer_mutation') return [];
    const name = asString(asObject(content, kind).buffer_name, 'the name of a buffer');
    const buffer = constants.find((each) => each.name === name);
    if (buffer === undefined) throw damaged(`the model changes ${name}, which it does not have`);
    return [[buffer.graphName, name] as const];
  });
  return new Map(changed);
}

/** A tensor, or a number that may vary: others are in the graph where they are used. */
function readUserInput(
  [tag, content]: [string, unknown],
  graph: Json,
  { inputs, complex, numbers }: Signature,
): void {
  if (tag === 'as_tensor') {
    const name = tensorName(content, 'an input');
    const { port, isComplex } = readInput(name, graph);
    if (isComplex) complex.push(name);
    inputs.push(port);
  }
  const number = Object(content) as { as_name?: unknown };
  if (!tag.startsWith('as_sym_') || number.as_name === undefined) return;
  const name = asString(number.as_name, 'the name of an input');
  numbers.push(name);
  inputs.push({ name, dtype: tag === 'as_sym_float' ? 'float64' : 'int64', shape: [] });
}

/** Whether some node has the value of that name among its arguments, however deep. */
function readers(graph: Json): (graphName: string) => boolean {
  let all: string | undefined;
  return (graphName) => {
    all ??= JSON.stringify([asList(graph.nodes, 'nodes').map((node) => Object(node).inputs), graph.outputs]);
    return all.includes(JSON.stringify(graphName));
  };
}

/** The precision of the parameters. Others than float32 and float64, and several, have to be converted by request. */
function precisionOf({ parameters, constants }: Signature, graph: Json, wanted: DType | undefined): DType {
  const first = parameters[0]?.tensor.type;
  if (wanted !== undefined) return wanted;
  const remedy =
    "to compute all of the model in one precision, load it with Model.load(file, { dtype: 'float32' })";
  const isRead = readers(graph);
  const read = constants.filter(({ graphName, tensor }) => isHalf(tensor.type) && isRead(graphName));
  for (const { name, tensor } of [...parameters, ...read]) {
    if (isHalf(tensor.type)) throw unsupported(`${name} has the precision ${tensor.type}; ${remedy}`);
  }
  for (const { name, tensor } of parameters) {
    if (tensor.type !== first) {
      throw unsupported(
        `the parameters mix precisions: ${name} is ${tensor.type}, ${parameters[0]!.name} is ${first}; ${remedy}`,
      );
    }
    if (!/^float(32|64)$/.test(tensor.type)) {
      throw unsupported(`${name} is ${tensor.type}; parameters should be float32 or float64`);
    }
  }
  return first === 'float64' ? 'float64' : 'float32';
}

async function flatten(
  signature: Signature,
  graph: Json,
  wanted: DType | undefined,
  reading: Reading,
): Promise<FloatArray> {
  const { parameters } = signature;
  const dtype = precisionOf(signature, graph, wanted);
  const counts = parameters.map(({ name, tensor }) => countOf(tensor, name));
  const length = counts.reduce((sum, count) => sum + count, 0);
  reading.take(length * elementSize(dtype), 'the parameters');
  const flat = floatArray(dtype, length);
  let offset = 0;
  for (const [index, { tensor }] of parameters.entries()) {
    const end = offset + counts[index]!;
    await readElements(tensor, flat.subarray(offset, end), reading);
    offset = end;
  }
  return flat;
}

/** The numbers of parameters and constants that are views of one memory. */
function sharedMemory({ parameters, inputs, constants }: Signature): number[][] {
  const groups = new Map<string, number[]>();
  const add = ({ storage, shape }: StoredTensor, value: number) => {
    if (shape.includes(0)) return;
    const group = groups.get(storage);
    if (group === undefined) groups.set(storage, [value]);
    else group.push(value);
  };
  for (const [index, { tensor }] of parameters.entries()) add(tensor, index);
  const first = parameters.length + inputs.length;
  for (const [index, { tensor }] of constants.entries()) add(tensor, first + index);
  return [...groups.values()].filter(({ length }) => length > 1);
}

async function readProgram(
  signature: Signature,
  graph: Json,
  { graphName: output, isComplex }: Output,
  { rows, inputs, outputs }: Batch,
  precision: Precision,
  reading: Reading,
  maxNodes: number,
): Promise<RawProgram> {
  const values = new Map<string, number>();
  let next = 0;
  for (const { graphNames } of signature.parameters) {
    for (const name of graphNames) values.set(name, next);
    next += 1;
  }
  for (const { name } of signature.inputs) values.set(name, next++);
  const constants: RawTensor[] = [];
  for (const { name, graphName, tensor } of signature.constants) {
    constants.push(await elements(tensor, name, reading));
    values.set(graphName, next++);
  }
  const reader = new GraphReader(graph, values, next, precision, reading, maxNodes);
  for (const { graphName, tensor } of signature.constants) {
    if (isDirect(tensor.type) || isHalf(tensor.type)) continue;
    const converted = reader.add('aten::to.dtype', [
      { ref: values.get(graphName)! },
      scalarTypeNumber(tensor.type),
    ]);
    values.set(graphName, converted);
  }
  for (const name of signature.complex)
    values.set(name, reader.add('aten::view_as_complex', [{ ref: values.get(name)! }]));
  for (const name of signature.numbers) reader.takeNumber(name);
  await reader.readNodes(graph, [output]);
  const result = reader.valueOf(output);
  return {
    parameters: signature.parameters.map(({ name, tensor }) => ({ name, shape: tensor.shape })),
    inputs,
    constants,
    sharing: sharedMemory(signature),
    nodes: reader.nodes,
    output: isComplex
      ? reader.add('aten::view_as_real', [{ ref: reader.add('aten::resolve_conj', [{ ref: result }]) }])
      : result,
    outputs,
    batch: rows,
  };
}
