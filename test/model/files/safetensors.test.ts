import { describe, expect, test } from 'vitest';
import { loadSafetensors, loadSafetensorsWithShapes } from '../../../lib/model/files/safetensors.ts';

/** A file with this header and this many bytes of data, counting up from 0. */
function file(header: unknown, data: Uint8Array | number, length?: bigint): Uint8Array {
  const text = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const start = Buffer.alloc(8);
  start.writeBigUInt64LE(length ?? BigInt(text.length));
  const content = typeof data === 'number' ? Uint8Array.from({ length: data }, (_, i) => i) : data;
  return Buffer.concat([start, text, content]);
}

const of = (dtype: string, shape: number[], data: ArrayBufferView) => {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return file({ a: { dtype, shape, data_offsets: [0, bytes.length] } }, bytes);
};
const refused = (bytes: Uint8Array, message: RegExp) =>
  expect(loadSafetensors(bytes)).rejects.toMatchObject({
    code: 'ERR_MODEL_LOAD',
    message: expect.stringMatching(message),
  });

test.each([
  ['F64', new Float64Array([1.5, -2]), new Float64Array([1.5, -2])],
  ['F32', new Float32Array([1.5, -2]), new Float32Array([1.5, -2])],
  [
    'F16',
    new Uint16Array([0x3c01, 0x8001, 0x7c00, 0xc000]),
    new Float32Array([1 + 2 ** -10, -(2 ** -24), Infinity, -2]),
  ],
  ['BF16', new Uint16Array([0x3fc0, 0xc000]), new Float32Array([1.5, -2])],
  ['I64', new BigInt64Array([-(2n ** 60n), 3n]), new BigInt64Array([-(2n ** 60n), 3n])],
  ['U32', new Uint32Array([2 ** 32 - 1]), new BigInt64Array([2n ** 32n - 1n])],
  ['I32', new Int32Array([-7]), new Int32Array([-7])],
  ['I8', new Int8Array([-7]), new Int32Array([-7])],
  ['BOOL', new Uint8Array([1, 0]), new Int32Array([1, 0])],
])('%s is read exactly', async (dtype, stored, expected) => {
  expect(await loadSafetensors(of(dtype, [stored.length], stored))).toEqual({ a: expected });
});

test('several tensors, with shapes and metadata', async () => {
  const header = {
    __metadata__: { format: 'pt' },
    '0.bias': { dtype: 'F32', shape: [], data_offsets: [24, 28] },
    '0.weight': { dtype: 'F32', shape: [2, 3], data_offsets: [0, 24] },
    empty: { dtype: 'F64', shape: [0, 4], data_offsets: [28, 28] },
  };
  const data = new Uint8Array(new Float32Array([1, 2, 3, 4, 5, 6, 7]).buffer);
  expect(await loadSafetensorsWithShapes(file(header, data))).toEqual({
    '0.bias': { data: new Float32Array([7]), shape: [] },
    '0.weight': { data: new Float32Array([1, 2, 3, 4, 5, 6]), shape: [2, 3] },
    empty: { data: new Float64Array(0), shape: [0, 4] },
  });
});

describe('damaged files', () => {
  const tensor = (begin: number, end: number, shape = [1]) => ({
    dtype: 'F32',
    shape,
    data_offsets: [begin, end],
  });

  test('too short for a header', () => refused(Buffer.from('abc'), /ends before/));
  test('a header longer than the file', () => refused(file({}, 0, 2n ** 63n), /header should be/));
  test('a header that is no JSON', () => refused(file('{"a"', 0), /no valid JSON/));
  test('a header that is no object', () => refused(file('[]', 0), /object/));
  test('data beyond the file', () => refused(file({ a: tensor(0, 4) }, 3), /need 4 bytes/));
  test('more data than tensors', () => refused(file({ a: tensor(0, 4) }, 9), /need 4 bytes/));
  test('a gap', () => refused(file({ a: tensor(0, 4), b: tensor(8, 12) }, 12), /gap/));
  test('an overlap', () => refused(file({ a: tensor(0, 8, [2]), b: tensor(4, 8) }, 8), /overlaps/));
  test('an end before its beginning', () => refused(file({ a: tensor(0, -4) }, 4), /offset of a/));
  test('a shape that does not fit', () => refused(file({ a: tensor(0, 4, [3]) }, 4), /needs 12/));
  test('a shape beyond counting', () => refused(file({ a: tensor(0, 4, [2 ** 52, 2 ** 52]) }, 4), /needs/));
  test('a missing file', () =>
    expect(loadSafetensors('/no/such.safetensors')).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' }));
  test('an unknown type', () =>
    expect(loadSafetensors(of('F8_E4M3', [1], new Uint8Array(1)))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
    }));
});
