/**
 * The zip archives that PyTorch writes, read into memory. Everything the directory says is checked before it is
 * believed: a model file may be damaged, or made to harm.
 */
import { crc32, inflateRawSync } from 'node:zlib';
import { type Entry, fromBufferPromise } from 'yauzl';
import { damaged } from './failure.ts';

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
  readonly #bytes: Buffer;
  readonly #entries: ReadonlyMap<string, Stored>;

  private constructor(bytes: Buffer, entries: ReadonlyMap<string, Stored>) {
    this.#bytes = bytes;
    this.#entries = entries;
  }

  /**
   * Reads the directory of an archive.
   *
   * @throws TorchCurvatureError `ERR_MODEL_LOAD` when the archive is truncated, contradicts itself, or would expand to
   * much more than its size
   */
  static async open(bytes: Uint8Array): Promise<Archive> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    try {
      return new Archive(buffer, await directory(buffer));
    } catch (error) {
      throw damaged(`no readable zip archive: ${(error as Error).message}`, error);
    }
  }

  /** Whether the bytes begin as a zip archive does. */
  static isZip(bytes: Uint8Array): boolean {
    return bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 0x03 && bytes[3] === 0x04;
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** The content of an entry, checked against its size and checksum. A view of the file where it is not compressed. */
  read(name: string): Uint8Array {
    const stored = this.#entries.get(name);
    if (stored === undefined) throw damaged(`the archive lacks ${name}`);
    const { entry, start } = stored;
    const raw = this.#bytes.subarray(start, start + entry.compressedSize);
    const content = entry.compressionMethod === STORED ? raw : inflate(raw, entry);
    if (content.length !== entry.uncompressedSize || crc32(content) !== entry.crc32) {
      throw damaged(`${name} does not have the checksum that the archive gives for it`);
    }
    return content;
  }

  /** Checks the content of every entry. */
  verify(): void {
    for (const name of this.#entries.keys()) this.read(name);
  }
}

async function directory(buffer: Buffer): Promise<Map<string, Stored>> {
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
    if (unpacked > EXPANSION_ALLOWANCE + EXPANSION * buffer.length) {
      throw new Error(`its ${buffer.length} bytes would expand to more than ${unpacked}`);
    }
    // yauzl checks that the data lies inside the file.
    const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
    entries.set(entry.fileName, { entry, start: fileDataStart });
  }
  return entries;
}

function inflate(raw: Uint8Array, entry: Entry): Uint8Array {
  try {
    // A limit of 0 would mean none.
    return inflateRawSync(raw, { maxOutputLength: Math.max(1, entry.uncompressedSize) });
  } catch (error) {
    throw damaged(`${entry.fileName} cannot be decompressed: ${(error as Error).message}`, error);
  }
}
