/** Writes small wheels: zip files without compression, with the RECORD and METADATA of a Python package. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END = 0x06054b50;

export interface Wheel {
  name: string;
  sha256: string;
}

/** `requires` are lines of Requires-Dist; `record` replaces what RECORD says of a file. */
export function writeWheel(
  folder: string,
  name: string,
  files: Record<string, string>,
  { requires = [], record = {} }: { requires?: readonly string[]; record?: Record<string, string> } = {},
): Wheel {
  const [project, version] = name.split('-');
  const info = `${project}-${version}.dist-info`;
  const metadata = [`Name: ${project}`, `Version: ${version}`, ...requires.map((r) => `Requires-Dist: ${r}`)];
  const lines = Object.entries(files).map(
    ([file, text]) => `${file},sha256=${record[file] ?? sha256(text, 'base64url')},${text.length}`,
  );
  const bytes = zip({
    ...files,
    [`${info}/METADATA`]: metadata.join('\n'),
    [`${info}/RECORD`]: lines.join('\n'),
  });
  writeFileSync(join(folder, name), bytes);
  return { name, sha256: sha256(bytes, 'hex') };
}

function sha256(content: string | Buffer, encoding: 'hex' | 'base64url'): string {
  return createHash('sha256').update(content).digest(encoding);
}

function zip(files: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, text] of Object.entries(files)) {
    const content = Buffer.from(text);
    // Version needed, flags, method 0 (stored), time, date, crc, sizes, length of the name, of the extra field.
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(Buffer.byteLength(name), 22);
    const local = Buffer.concat([uint32(LOCAL_HEADER), common, Buffer.from(name), content]);
    const attributes = Buffer.alloc(14);
    attributes.writeUInt32LE(offset, 10);
    directory.push(
      Buffer.concat([uint32(CENTRAL_HEADER), Buffer.from([20, 0]), common, attributes, Buffer.from(name)]),
    );
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(directory.length, 4);
  end.writeUInt16LE(directory.length, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  return Buffer.concat([...parts, central, uint32(END), end]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
