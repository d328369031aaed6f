/** Models that `torch.jit.save` wrote. */

import { addon } from '../../addon/addon.ts';
import type { RawPort } from '../../addon/program.ts';
import { run } from '../../addon/run.ts';
import { elementCount, floatArray } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { damaged, requireFewNodes, unsupported } from './failure.ts';
import type { LoadedModel } from './loaded-model.ts';
import { unpickle } from './pickle.ts';
import type { Pt2Options } from './pt2.ts';
import type { Reading } from './reading.ts';
import { checkNesting } from './script-nesting.ts';
import { storage } from './state-dict.ts';
import { elementSize } from './stored-tensor.ts';
import type { Archive } from './zip.ts';

/** What the caller of `Model.load` asks for. */
export interface TorchScriptOptions extends Pt2Options {
  /** What inputs are of, by their names. */
  inputs: Readonly<Record<string, 'bool' | 'uint8'>> | undefined;
}

/** Parameters that are copied in a fraction of a slice. */
const PIECE = 2 ** 18;

const MAIN = /^([^/]+\/)data\.pkl$/;

export function isTorchScript({ names }: Archive): boolean {
  return names.some((name) => MAIN.test(name)) && names.some((name) => /^[^/]+\/constants\.pkl$/.test(name));
}

/**
 * `archive` is that of `bytes`, which the addon reads in place on a thread of the executor. What libtorch takes on trust
 * is looked at first: lengths of storages, code that would run while loading.
 */
export async function readTorchScript(
  archive: Archive,
  bytes: Uint8Array,
  reading: Reading,
  { maxNodes, output, inputs, ...options }: TorchScriptOptions,
): Promise<LoadedModel> {
  if (options.dtype !== undefined) {
    throw unsupported(
      'the option dtype is for exported programs: export the model with torch.export, as a .pt2',
    );
  }
  for (const name of archive.names) {
    if (!/\.(py|pkl)$/.test(name)) continue;
    const content = Buffer.from(archive.read(name));
    if (name.endsWith('.py')) await checkNesting(content.toString(), name, reading);
    if (content.includes('__setstate__'))
      throw unsupported(`${name} runs code of its own while it is loaded`);
    if (content.includes('__torch__.torch.classes'))
      throw unsupported(`${name} needs a class written in C++`);
  }
  const root = rootOf(archive);
  for (const part of ['data', 'constants']) checkStorages(archive, root!, part, reading);
  // libtorch copies every storage, and the program's constants are copies again.
  reading.take(2 * archive.size, 'the module');
  const loaded = await run('loadTorchScript', { bytes, output, inputs }, undefined, () => ({
    bytes: bytes.length,
  }));
  const { values, float64, nodes, frozen, ...program } = loaded;
  requireInputs(Object.keys(inputs ?? {}), program.inputs);
  requireFewNodes(nodes, maxNodes);
  const count = program.parameters.reduce((sum, { shape }) => sum + elementCount(shape, 'a parameter'), 0);
  const dtype = float64 ? 'float64' : 'float32';
  reading.take(count * elementSize(dtype), 'the parameters');
  const initialParameters = floatArray(dtype, count);
  for (let begin = 0; begin < count; begin += PIECE) {
    addon().copyValues(values, begin, initialParameters.subarray(begin, begin + PIECE));
    await reading.pass();
  }
  return { kind: 'torchscript', program, initialParameters, frozen };
}

/** Throws where the caller speaks of an input that there is not. */
function requireInputs(names: readonly string[], inputs: readonly RawPort[]): void {
  const known = inputs.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw outOfRange(`inputs should be of those that the model takes: ${known.join(', ')}, got ${unknown}`);
}

/**
 * The one folder that everything lies in. libtorch compares the names of entries without their case and reads the
 * folder of the first one: what is checked here would not be what it reads.
 */
function rootOf({ names }: Archive): string {
  const roots = new Set(names.map((name) => name.slice(0, name.indexOf('/') + 1)));
  if (roots.size !== 1) throw damaged(`its entries lie in ${roots.size} folders instead of one`);
  const folded = new Set(names.map((name) => name.toLowerCase()));
  if (folded.size !== names.length) throw damaged('two of its entries differ by upper and lower case alone');
  return [...roots][0]!;
}

/** libtorch reads as many elements of a storage as the pickle says, also where the file has fewer. */
function checkStorages(archive: Archive, root: string, part: string, reading: Reading): void {
  unpickle(
    archive.read(`${root}${part}.pkl`),
    {
      persistent: (id) => storage(archive, `${root}${part}/`, id),
      call: (name, args) => (name === 'collections.OrderedDict' ? new Map() : args[0]),
    },
    reading,
  );
}
