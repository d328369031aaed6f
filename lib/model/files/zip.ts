/**
 * The zip archives that PyTorch writes, read into memory. Everything the directory says is checked before it is
 * believed: a model file may be damaged, or made to harm.
 */
import { promisify } from 'node:util';
import { crc32, inflateRaw } from 'node:zlib';
import { type Entry, fromBufferPromise } from 'yauzl';
import { damaged } from './failure.ts';
import type { Reading } from './reading.ts';
import { pieces } from './turns.ts';

const STORED = 0;
const DEFLATED = 8;
/** How much may come out of an archive: PyTorch stores without compression, others compress JSON and weights a little. */
const EXPANSION = 16;
const EXPANSION_ALLOWANCE = 64 * 2 ** 20;

interface Stored {
  entry: Entry;
  /** First byte of the entry's data in the file. */
  start: number;
}

export class Archive {
  readonly #contents: ReadonlyMap<string, Uint8Array>;

  private constructor(contents: ReadonlyMap<string, Uint8Array>) {
    this.#contents = contents;
  }

  /**
   * Reads an archive: its directory, then every entry, checked against its size and checksum.
   *
   * @throws TorchCurvatureError `ERR_MODEL_LOAD` when the archive is truncated, contradicts itself, or would expand to
   * much more than its size
   */
  static async open(bytes: Uint8Array, reading: Reading): Promise<Archive> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let entries: ReadonlyMap<string, Stored>;
    try {
      entries = await directory(buffer, reading);
    } catch (error) {
      throw damaged(`no readable zip archive: ${(error as Error).message}`, error);
    }
    const contents = new Map<string, Uint8Array>();
    for (const [name, stored] of entries) contents.set(name, await contentOf(buffer, stored, reading));
    return new Archive(contents);
  }

  /** Whether the bytes begin as a zip archive does. */
  static isZip(bytes: Uint8Array): boolean {
    return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;
  }

  get names(): string[] {
    return [...this.#contents.keys()];
  }

  /** Bytes of all that is in it. */
  get size(): number {
    return [...this.#contents.values()].reduce((sum, { length }) => sum + length, 0);
  }

  has(name: string): boolean {
    return this.#contents.has(name);
  }

  /** The content of an entry. A view of the file where it is not compressed. */
  read(name: string): Uint8Array {
    const content = this.#contents.get(name);
    if (content === undefined) throw damaged(`the archive lacks ${name}`);
    return content;
  }
}

async function contentOf(file: Buffer, { entry, start }: Stored, reading: Reading): Promise<Uint8Array> {
  const raw = file.subarray(start, start + entry.compressedSize);
  const content = entry.compressionMethod === STORED ? raw : await inflate(raw, entry);
  let sum = 0;
  for (const piece of pieces(content)) {
    sum = crc32(piece, sum);
    await reading.pass();
  }
  if (content.length !== entry.uncompressedSize || sum !== entry.crc32) {
    throw damaged(`${entry.fileName} does not have the checksum that the archive gives for it`);
  }
  return content;
}

async function directory(buffer: Buffer, reading: Reading): Promise<Map<string, Stored>> {
  const zip = await fromBufferPromise(buffer, { strictFileNames: true });
  const entries = new Map<string, Stored>();
  let packed = 0;
  let unpacked = 0;
  for await (const entry of zip.eachEntry()) {
    if (entry.isEncrypted()) throw new Error(`${entry.fileName} is encrypted`);
    if (entry.compressionMethod !== STORED && entry.compressionMethod !== DEFLATED) {
      throw new Error(`${entry.fileName} is compressed in an unknown way`);
    }
    if (entries.has(entry.fileName)) throw new Error(`${entry.fileName} is there twice`);
    packed += entry.compressedSize;
    unpacked += entry.uncompressedSize;
    // More packed data than bytes: entries overlap, so that a small file would expand over and over.
    if (packed > buffer.length) throw new Error('its entries overlap');
    if (entry.compressionMethod === DEFLATED) reading.take(entry.uncompressedSize, entry.fileName);
    if (unpacked > EXPANSION_ALLOWANCE + EXPANSION * buffer.length) {
      throw new Error(`its ${buffer.length} bytes would expand to more than ${unpacked}`);
    }
    // yauzl checks that the data lies inside the file.
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    entries.set(entry.fileName, { entry, start: fileDataStart });
  }
  return entries;
}

const inflateAside = promisify(inflateRaw) as (raw: Uint8Array, options: object) => Promise<Uint8Array>;

async function inflate(raw: Uint8Array, entry: Entry): Promise<Uint8Array> {
  try {
    // A limit of 0 would mean none.
    return await inflateAside(raw, { maxOutputLength: Math.max(1, entry.uncompressedSize) });
  } catch (error) {
    throw damaged(`${entry.fileName} cannot be decompressed: ${(error as Error).message}`, error);
  }
}
