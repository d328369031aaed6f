/**
 * Where the archives of `torch.export.save` keep things. Since PyTorch 2.8 the graph is `models/NAME.json`, the weights
 * and constants are beside it, as plain bytes with a JSON description or as one file by `torch.save`; before that there
 * were `serialized_exported_program.json` and two files by `torch.save`.
 */
import { damaged } from './failure.ts';
import { asCount, asList, asObject, asString, type Json, parseJson, tagged } from './json.ts';
import type { Reading } from './reading.ts';
import { readStateDict } from './state-dict.ts';
import { type ElementType, SCALAR_TYPES, type StoredTensor, type TensorLayout } from './stored-tensor.ts';
import type { Archive } from './zip.ts';

export interface ExportedProgram {
  /** As `ExportedProgram` of torch/_export/serde/schema.py. */
  json: Json;
  weights: ReadonlyMap<string, StoredTensor>;
  constants: ReadonlyMap<string, StoredTensor>;
}

/** Numbers of the schema's `ScalarType`, which are not those of libtorch. */
const SCHEMA_TYPES: readonly ElementType[] = ['unknown', ...SCALAR_TYPES, 'bfloat16'];

const OLD_PROGRAM = 'serialized_exported_program.json';

export function isExportedProgram({ names }: Archive): boolean {
  return names.some(
    (name) => name === OLD_PROGRAM || /^[^/]+\/(archive_format|models\/[^/]+\.json)$/.test(name),
  );
}

export async function readExportedProgram(archive: Archive, reading: Reading): Promise<ExportedProgram> {
  if (archive.has(OLD_PROGRAM)) {
    const dictionary = (name: string) => readStateDict(archive.read(name), name, reading);
    return {
      json: await parseJson(archive.read(OLD_PROGRAM), OLD_PROGRAM, reading),
      weights: await dictionary('serialized_state_dict.pt'),
      constants: await dictionary('serialized_constants.pt'),
    };
  }
  const programs = archive.names.filter((name) => /^[^/]+\/models\/[^/]+\.json$/.test(name));
  if (programs.length !== 1)
    throw damaged(`the archive holds ${programs.length} exported programs instead of one`);
  const [, root, model] = /^([^/]+)\/models\/(.+)\.json$/.exec(programs[0]!)!;
  const byteOrder = `${root}/byteorder`;
  if (archive.has(byteOrder) && Buffer.from(archive.read(byteOrder)).toString() !== 'little') {
    throw damaged('the archive has another byte order than little-endian');
  }
  const payloadOf = (kind: 'weights' | 'constants') =>
    payload(archive, `${root}/data/${kind}/`, `${model}_${kind}_config.json`, `${model}.pt`, reading);
  return {
    json: await parseJson(archive.read(programs[0]!), programs[0]!, reading),
    weights: await payloadOf('weights'),
    constants: await payloadOf('constants'),
  };
}

async function payload(archive: Archive, folder: string, config: string, saved: string, reading: Reading) {
  if (archive.has(folder + saved))
    return readStateDict(archive.read(folder + saved), folder + saved, reading);
  const tensors = new Map<string, StoredTensor>();
  if (!archive.has(folder + config)) return tensors;
  const { config: entries } = await parseJson(archive.read(folder + config), config, reading);
  for (const [name, value] of Object.entries(asObject(entries, config))) {
    await reading.pass();
    const entry = asObject(value, `${config}: ${name}`);
    if (entry.use_pickle === true) throw damaged(`${name} is stored as a pickle of a class of its own`);
    const path = folder + asString(entry.path_name, `the path of ${name}`);
    const meta = asObject(entry.tensor_meta, `the layout of ${name}`);
    const layout = tensorLayout(meta, name);
    tensors.set(name, {
      ...layout,
      bytes: archive.read(path),
      isParameter: entry.is_param === true,
      requiresGrad: meta.requires_grad === true,
      identity: JSON.stringify([path, layout]),
      storage: path,
    });
  }
  return tensors;
}

function tensorLayout(meta: Json, name: string): TensorLayout {
  const fixed = (value: unknown) => {
    const [tag, size] = tagged(value, `a size of ${name}`);
    if (tag !== 'as_int') throw damaged(`${name} has no fixed size`);
    return asCount(size, `a size of ${name}`);
  };
  const shape = asList(meta.sizes, `the sizes of ${name}`).map(fixed);
  const strides = asList(meta.strides, `the strides of ${name}`).map(fixed);
  if (shape.length !== strides.length) throw damaged(`${name} has not one stride for each axis`);
  if (meta.layout !== 7) throw damaged(`${name} is a sparse tensor`);
  return { type: elementType(meta.dtype), shape, strides, offset: fixed(meta.storage_offset) };
}

export function elementType(number: unknown): ElementType {
  return SCHEMA_TYPES[number as number] ?? 'unknown';
}
