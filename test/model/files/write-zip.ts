/** Zip archives for tests, which may lie about themselves. */
import { crc32, deflateRawSync } from 'node:zlib';
import { Reading } from '../../../lib/model/files/reading.ts';
import { Archive } from '../../../lib/model/files/zip.ts';

export interface ZipEntry {
  name: string;
  data: Uint8Array;
  deflated?: boolean;
  /** What the archive says, where it is not the truth. */
  claims?: { size?: number; offset?: number; compressedSize?: number; method?: number };
}

export async function readEntries(bytes: Uint8Array): Promise<ZipEntry[]> {
  const archive = await Archive.open(bytes, new Reading());
  return archive.names.map((name) => ({ name, data: archive.read(name) }));
}

export function writeZip(entries: readonly ZipEntry[]): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, data, deflated = false, claims = {} } of entries) {
    const packed = deflated ? deflateRawSync(data) : Buffer.from(data);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(claims.method ?? (deflated ? 8 : 0), 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(claims.compressedSize ?? packed.length, 14);
    common.writeUInt32LE(claims.size ?? data.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(claims.offset ?? offset, 10);
    const local = [Buffer.from('PK\x03\x04'), common, Buffer.from(name), packed];
    directory.push(Buffer.from('PK\x01\x02'), Buffer.from([20, 0]), common, tail, Buffer.from(name));
    parts.push(...local);
    offset += local.reduce((sum, part) => sum + part.length, 0);
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(size, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, ...directory, end]);
}
