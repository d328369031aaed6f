/** Parts of exported programs: taken out to begin from, and put back when they were changed. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { readEntries, writeZip, type ZipEntry } from '../../model/files/write-zip.ts';

/** The file that a part is put into, and which of its entries is replaced, in the archive of another one at last. */
const PARTS = {
  pickle: { file: 'mlp.old.pt2', path: [/^serialized_state_dict\.pt$/, /\/data\.pkl$/] },
  graph: { file: 'mlp.pt2', path: [/\/models\/[^/]+\.json$/] },
  code: { file: 'loop.pt', path: [/__torch__\.py$/] },
} as const;

/** Bundled or not, this package finds itself by its name. */
const ROOT = dirname(createRequire(import.meta.url).resolve('torch-curvature/package.json'));
export const FOLDER = join(ROOT, 'test/fixtures/models');

export type Part = keyof typeof PARTS;

/** A file of `test/fixtures/models`. */
export function fixture(file: string): Uint8Array {
  return readFileSync(join(FOLDER, file));
}

/** That part of a file; undefined where it has none. */
export async function partOf(file: string, part: Part): Promise<Uint8Array | undefined> {
  let bytes: Uint8Array | undefined = fixture(file);
  for (const pattern of PARTS[part].path) {
    bytes = bytes && (await readEntries(bytes)).find(({ name }) => pattern.test(name))?.data;
  }
  return bytes;
}

type Around = (bytes: Uint8Array) => Uint8Array;
const known = new Map<Part, Promise<Around>>();

/** A file that is in order but for that part of it. */
export async function archiveAround(part: Part, bytes: Uint8Array): Promise<Uint8Array> {
  const { file, path } = PARTS[part];
  if (!known.has(part)) known.set(part, around(fixture(file), path));
  return (await known.get(part)!)(bytes);
}

/** Puts bytes in the place of an entry of an archive, or of an entry of the archive in it. */
async function around(archive: Uint8Array, [first, ...rest]: readonly RegExp[]): Promise<Around> {
  if (first === undefined) return (bytes) => bytes;
  const entries: ZipEntry[] = await readEntries(archive);
  const entry = entries.find(({ name }) => first.test(name))!;
  const inner = await around(entry.data, rest);
  return (bytes) =>
    writeZip(entries.map((each) => (each === entry ? { ...each, data: inner(bytes) } : each)));
}

/** A safetensors file: the length of its header, the header, and elements that are zero. */
export function framed(header: Uint8Array, bytes = 0): Uint8Array {
  const file = new Uint8Array(8 + header.length + bytes);
  new DataView(file.buffer).setBigUint64(0, BigInt(header.length), true);
  file.set(header, 8);
  return file;
}
