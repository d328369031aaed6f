/** Models that `torch.export.save` wrote. */

import type { RawProgram } from '../../addon/program.ts';
import type { FloatArray, RawTensor } from '../../addon/values.ts';
import { dtypeOf, floatArray } from '../../arrays.ts';
import { createProgram } from '../create-program.ts';
import { damaged, requireFewNodes, unsupported } from './failure.ts';
import { asCount, asList, asObject, asString, type Json, tagged } from './json.ts';
import type { LoadedModel, ModelInput } from './loaded-model.ts';
import { type ExportedProgram, elementType, readExportedProgram } from './pt2-archive.ts';
import { GraphReader, tensorName } from './pt2-graph.ts';
import type { Reading } from './reading.ts';
import {
  countOf,
  elementSize,
  elements,
  isDirect,
  readElements,
  type StoredTensor,
  scalarTypeNumber,
} from './stored-tensor.ts';
import type { Archive } from './zip.ts';

/** Of torch/_export/serde/schema.py; a new major version changes the meaning of what there was. */
const SCHEMA_MAJOR = 8;

/** What the graph's inputs are: each has a name in the graph. */
interface Signature {
  parameters: { name: string; graphNames: string[]; tensor: StoredTensor }[];
  constants: { name: string; graphName: string; tensor: StoredTensor }[];
  inputs: ModelInput[];
  frozen: string[];
}

/** Reads the archive; at most `maxNodes` nodes are taken. */
export async function readPt2(archive: Archive, reading: Reading, maxNodes: number): Promise<LoadedModel> {
  const exported = await readExportedProgram(archive, reading);
  const version = asObject(exported.json.schema_version, 'schema_version');
  if (version.major !== SCHEMA_MAJOR) {
    throw damaged(
      `it has version ${version.major} of the export format, expected ${SCHEMA_MAJOR}: ` +
        'export the model again with PyTorch 2.5 or later',
    );
  }
  const graphModule = asObject(exported.json.graph_module, 'graph_module');
  const graph = asObject(graphModule.graph, 'graph');
  const signature = readSignature(asObject(graphModule.signature, 'signature'), graph, exported);
  const initialParameters = await flatten(signature, reading);
  const output = readOutput(graphModule);
  const program = await readProgram(signature, graph, output, initialParameters, reading);
  requireFewNodes(program.nodes.length, maxNodes);
  const { frozen, inputs } = signature;
  const batch = fixedBatch(inputs);
  const whole = batch === undefined ? program : { ...program, batch, rowShape: rowShape(graph, output) };
  return {
    kind: 'pt2',
    program: await createProgram(whole, reading),
    initialParameters,
    frozen,
    inputs,
  };
}

/** The sizes of one row of a value, of which none is a symbol. */
function rowShape(graph: Json, name: string): number[] {
  const meta = asObject(asObject(graph.tensor_values, 'tensor_values')[name], `the description of ${name}`);
  return asList(meta.sizes, `the sizes of ${name}`)
    .slice(1)
    .map((size) => asCount(tagged(size, `a size of ${name}`)[1], `a size of ${name}`));
}

/** The rows that the graph is for; `undefined` where the batch of an input is a symbol. */
function fixedBatch(inputs: readonly ModelInput[]): number | undefined {
  const sizes = inputs.map(({ shape }) => shape[0]!);
  if (sizes.includes(null as never)) return undefined;
  const [batch] = sizes;
  if (sizes.some((size) => size !== batch)) {
    throw unsupported(
      `the first axis of every input should be the batch, and those of ${inputs.map(({ name }) => name).join(', ')} have ${sizes.join(', ')} rows`,
    );
  }
  if (batch === 0) throw unsupported('the model was exported for a batch of no rows');
  return batch;
}

function readSignature(signature: Json, graph: Json, { weights, constants }: ExportedProgram): Signature {
  const result: Signature = { parameters: [], constants: [], inputs: [], frozen: [] };
  const tied = new Map<string, Signature['parameters'][number]>();
  const find = (name: string): StoredTensor => {
    const tensor = weights.get(name) ?? constants.get(name);
    if (tensor === undefined) throw damaged(`the archive lacks the values of ${name}`);
    return tensor;
  };
  for (const spec of asList(signature.input_specs, 'input_specs')) {
    const [kind, content] = tagged(spec, 'an entry of input_specs');
    const entry = asObject(content, kind);
    switch (kind) {
      case 'parameter': {
        const name = asString(entry.parameter_name, 'the name of a parameter');
        const graphName = tensorName(entry.arg, name);
        const tensor = find(name);
        const known = tied.get(tensor.identity);
        if (!tensor.requiresGrad) {
          result.frozen.push(name);
          result.constants.push({ name, graphName, tensor });
        } else if (known !== undefined) {
          known.graphNames.push(graphName);
        } else {
          const parameter = { name, graphNames: [graphName], tensor };
          tied.set(tensor.identity, parameter);
          result.parameters.push(parameter);
        }
        break;
      }
      case 'buffer':
      case 'tensor_constant': {
        const name = asString(
          entry[kind === 'buffer' ? 'buffer_name' : 'tensor_constant_name'],
          `the name of a ${kind}`,
        );
        result.constants.push({ name, graphName: tensorName(entry.arg, name), tensor: find(name) });
        break;
      }
      case 'user_input':
        readInput(tagged(entry.arg, 'an input'), graph, result.inputs);
        break;
      case 'constant_input':
        break; // the graph has its value where it is used
      default:
        throw unsupported(`the model takes an input of the kind ${kind}`);
    }
  }
  if (result.inputs.length === 0) throw damaged('the model takes no tensor');
  return result;
}

function readInput([tag, content]: [string, unknown], graph: Json, inputs: ModelInput[]): void {
  if (tag !== 'as_tensor') {
    if (tag.startsWith('as_sym_')) throw unsupported('the model takes a number that may vary as an input');
    return;
  }
  const name = tensorName(content, 'an input');
  const meta = asObject(asObject(graph.tensor_values, 'tensor_values')[name], `the description of ${name}`);
  const shape: (number | null)[] = [];
  for (const size of asList(meta.sizes, `the sizes of ${name}`)) {
    const [kind, value] = tagged(size, `a size of ${name}`);
    shape.push(kind === 'as_int' ? asCount(value, `a size of ${name}`) : null);
  }
  if (shape.length === 0) throw unsupported(`the input ${name} has no axis for the batch`);
  inputs.push({ name, dtype: elementType(meta.dtype), shape });
}

/** The graph name of the model's one result. */
function readOutput(graphModule: Json): string {
  const specs = asList(asObject(graphModule.signature, 'signature').output_specs, 'output_specs');
  const outputs = specs.map((spec) => tagged(spec, 'an entry of output_specs'));
  const other = outputs.find(([kind]) => kind !== 'user_output');
  if (other !== undefined) {
    const names = Object.values(asObject(other[1], other[0])).filter((value) => typeof value === 'string');
    throw unsupported(
      `the model changes ${names.join(', ')} when it runs (${other[0]}); export it after eval()`,
    );
  }
  if (outputs.length !== 1)
    throw unsupported(`the model returns ${outputs.length} values instead of one tensor`);
  const [kind, content] = tagged(asObject(outputs[0]![1], 'the output').arg, 'the output');
  if (kind !== 'as_tensor') throw unsupported('the model returns something else than one tensor');
  return tensorName(content, 'the output');
}

async function flatten({ parameters }: Signature, reading: Reading): Promise<FloatArray> {
  const counts = parameters.map(({ name, tensor }) => countOf(tensor, name));
  const first = parameters[0]?.tensor.type;
  for (const { name, tensor } of parameters) {
    if (tensor.type !== first || (tensor.type !== 'float32' && tensor.type !== 'float64')) {
      throw unsupported(
        `the parameters mix precisions: ${name} is ${tensor.type}, ${parameters[0]!.name} is ${first}`,
      );
    }
  }
  const length = counts.reduce((sum, count) => sum + count, 0);
  const dtype = first === 'float64' ? 'float64' : 'float32';
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

async function readProgram(
  signature: Signature,
  graph: Json,
  output: string,
  flat: FloatArray,
  reading: Reading,
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
  const reader = new GraphReader(graph, values, next, dtypeOf(flat), reading);
  for (const { graphName, tensor } of signature.constants) {
    if (isDirect(tensor.type)) continue;
    const converted = reader.add('aten::to.dtype', [
      { ref: values.get(graphName)! },
      scalarTypeNumber(tensor.type),
    ]);
    values.set(graphName, converted);
  }
  await reader.readNodes(graph, [output]);
  return {
    parameters: signature.parameters.map(({ name, tensor }) => ({ name, shape: tensor.shape })),
    inputs: signature.inputs.length,
    constants,
    nodes: reader.nodes,
    output: reader.valueOf(output),
  };
}
