/** What the fuzzers of files begin from: small files of each kind. */
import { readdirSync } from 'node:fs';
import { dump } from 'npyjs';
import { writeZip } from '../../model/files/write-zip.ts';
import { FOLDER, fixture, framed, type Part, partOf } from './archives.ts';

/** In bytes: larger files make a fuzzer slow. */
const LARGEST = 16_000;

const text = (content: string) => new TextEncoder().encode(content);

/** By the name of the reader. */
export const SEEDS: Record<string, () => Promise<Uint8Array[]>> = {
  zip: async () => [
    writeZip([]),
    writeZip([
      { name: 'a/b', data: text('stored') },
      { name: 'a/c', data: text('packed'.repeat(9)), deflated: true },
    ]),
    fixture('frozen.pt'),
  ],
  pt2: async () => ['mlp.pt2', 'frozen.old.pt2', 'rows-mean.pt2', 'mlp-static.pt2'].map(fixture),
  pickle: () => parts('pickle', /\.old\.pt2$/),
  graph: () => parts('graph', /\.pt2$/),
  nesting: () => parts('code', /\.pt$/),
  safetensors: async () => {
    const types = ['F64', 'F16', 'BF16', 'I64', 'U32', 'I32', 'U16', 'I16', 'U8', 'I8', 'BOOL'];
    const empty = types.map((dtype) => [dtype, { dtype, shape: [0, 3], data_offsets: [0, 0] }] as const);
    const header = text(JSON.stringify(Object.fromEntries(empty)));
    const one = text('{"w":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]}}');
    return [header, framed(header), framed(one, 8)];
  },
  npy: async () =>
    [new Float32Array(2), new Float64Array(2), new Int32Array(2), new BigInt64Array(2)].map(
      (data) => new Uint8Array(dump(data, [2, 1])),
    ),
};

/** Words of files that their format is likely to have a meaning for. */
export function wordsOf(files: readonly Uint8Array[]): string[] {
  const words = files.flatMap((file) => new TextDecoder('latin1').decode(file).match(/[\w.:]{3,40}/g) ?? []);
  return [...new Set(words)];
}

async function parts(part: Part, names: RegExp): Promise<Uint8Array[]> {
  const found: Uint8Array[] = [];
  for (const file of readdirSync(FOLDER).filter((name) => names.test(name))) {
    const bytes = await partOf(file, part);
    if (bytes !== undefined && bytes.length <= LARGEST) found.push(bytes);
  }
  return found;
}
