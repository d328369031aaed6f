import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

const HEADER_BYTES = 64;

/**
 * Whether a shared library of Linux ends before its own header says it does. The system's loader would map such a file
 * and crash the process when it touches what is missing. Files of another format are left to the loader.
 */
export function isTruncated(file: string): boolean {
  const descriptor = openSync(file, 'r');
  try {
    const { size } = fstatSync(descriptor);
    const header = Buffer.alloc(HEADER_BYTES);
    const read = readSync(descriptor, header, 0, HEADER_BYTES, 0);
    // 64-bit little-endian ELF, whose table of sections is the last thing in the file.
    if (!header.subarray(0, 6).equals(Buffer.from('\x7fELF\x02\x01', 'latin1'))) return size < HEADER_BYTES;
    if (read < HEADER_BYTES) return true;
    const sections = Number(header.readBigUInt64LE(0x28));
    return sections + header.readUInt16LE(0x3a) * header.readUInt16LE(0x3c) > size;
  } finally {
    closeSync(descriptor);
  }
}
