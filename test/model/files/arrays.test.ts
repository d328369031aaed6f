/** `.npy` and safetensors files, byte for byte those of NumPy and Hugging Face's library (scripts/reference/arrays.py). */
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  loadNpy,
  loadSafetensors,
  Model,
  nn,
  saveNpy,
  saveSafetensors,
  type Tensor,
  type TypedArray,
} from '../../../lib/index.ts';
import { loadSafetensorsWithShapes } from '../../../lib/model/files/safetensors.ts';
import { temporaryFolder } from '../../cli/run.ts';

interface Stored {
  dtype: string;
  shape: number[];
  values: string[];
}
const fixture: {
  npy: (Stored & { file: string })[];
  safetensors: { metadata: Record<string, string> | null; tensors: Record<string, Stored>; file: string }[];
} = JSON.parse(await readFile(new URL('../../fixtures/arrays.json', import.meta.url), 'utf8'));

/** What an array of NumPy is here. */
function expected({ dtype, shape, values }: Stored): Tensor {
  const numbers = () =>
    values.map((each) => (each === 'inf' ? Infinity : Number(each === 'True' || (each !== 'False' && each))));
  const kind = dtype.slice(1);
  const data: TypedArray =
    kind === 'f8'
      ? Float64Array.from(numbers())
      : kind === 'f4' || kind === 'f2'
        ? Float32Array.from(numbers())
        : kind === 'i8' || kind === 'u4'
          ? BigInt64Array.from(values.map(BigInt))
          : Int32Array.from(numbers());
  return { data, shape };
}
/** `toEqual` takes seconds for a million numbers. */
const same = (a: TypedArray, b: TypedArray) =>
  Buffer.compare(Buffer.from(a.buffer), Buffer.from(b.buffer)) === 0;
const bytesOf = (file: string) => new Uint8Array(Buffer.from(file, 'base64'));
const npys = fixture.npy.map((each) => [`${each.dtype} [${each.shape.join(', ')}]`, each] as const);
const WRITTEN = ['<f8', '<f4', '<i4', '<i8', '|u1'];

describe('.npy', () => {
  it.each(npys)('%s is read exactly', async (_, stored) => {
    expect(await loadNpy(bytesOf(stored.file))).toEqual(expected(stored));
  });

  it('is written as NumPy writes it', async () => {
    const path = join(await temporaryFolder(), 'x.npy');
    let written = 0;
    const kinds = new Set<string>();
    for (const [name, stored] of npys) {
      const bytes = bytesOf(stored.file);
      const header = Buffer.from(bytes).toString('latin1');
      if (!WRITTEN.includes(stored.dtype) || bytes[6] !== 1 || header.includes("order': True")) continue;
      const tensor = expected(stored);
      const data = stored.dtype === '|u1' ? Uint8Array.from(tensor.data as Int32Array) : tensor.data;
      await saveNpy(path, { ...tensor, data });
      expect(new Uint8Array(await readFile(path)), name).toEqual(bytes);
      kinds.add(stored.dtype);
      written++;
    }
    expect(written).toBeGreaterThan(20);
    expect([...kinds].sort()).toEqual([...WRITTEN].sort());
    await saveNpy(path, Float32Array.of(1, 2));
    expect(await loadNpy(path)).toEqual({ data: Float32Array.of(1, 2), shape: [2] });
  });

  const good = bytesOf(fixture.npy[0]!.file);
  const changed = (from: string, to: string) =>
    new Uint8Array(Buffer.from(Buffer.from(good).toString('latin1').replace(from, to), 'latin1'));
  it.each([
    ['nothing', new Uint8Array(0), 'ERR_MODEL_LOAD', /truncated/],
    ['text', new Uint8Array(Buffer.from('once upon a time')), 'ERR_MODEL_LOAD', /not an \.npy file/],
    ['an archive', Uint8Array.of(0x50, 0x4b, 3, 4), 'ERR_MODEL_LOAD', /archive/],
    ['half of it', good.subarray(0, good.length - 8), 'ERR_MODEL_LOAD', /needs 4 elements, 3/],
    ['half of its header', good.subarray(0, 30), 'ERR_MODEL_LOAD', /header/],
    ['more than it', Uint8Array.of(...good, 0), 'ERR_MODEL_LOAD', /needs 4 elements/],
    ['complex numbers', changed('<f8', '<c8'), 'ERR_UNSUPPORTED_OP', /c8/],
    ['objects', changed('<f8', '|O8'), 'ERR_UNSUPPORTED_OP', /O8/],
    ['structures', changed("'<f8'", '[a,b]'), 'ERR_UNSUPPORTED_OP', /structured/],
    ['another dict', changed('shape', 'shade'), 'ERR_MODEL_LOAD', /header/],
    ['a field twice', changed("'shape'", "'descr': '<f4', 'shape'"), 'ERR_MODEL_LOAD', /descr twice/],
    ['another field', changed("'shape'", "'shade': 'x', 'shape'"), 'ERR_MODEL_LOAD', /header/],
    ['a field within a word', changed("'descr'", "\"'descr': '<i4'\""), 'ERR_MODEL_LOAD', /header/],
    ['a lost comma', changed('(2, 2)', '(2 2)'), 'ERR_MODEL_LOAD', /header/],
    ['a comma too many', changed('(2, 2)', '(2,,2)'), 'ERR_MODEL_LOAD', /shape/],
    ['a number for a shape', changed('(2, 2)', '(4)'), 'ERR_MODEL_LOAD', /shape/],
    ['another version', changed('\x01\x00', '\x09\x00'), 'ERR_UNSUPPORTED_OP', /version 9\.0/],
    ['a shape beyond all numbers', changed('(2, 2)', `(${'9'.repeat(20)})`), 'ERR_MODEL_LOAD', /shape|needs/],
  ] as const)('%s is refused', async (_, bytes, code, message) => {
    await expect(loadNpy(bytes)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it.each([
    ['the order of the machine', changed("'<f8'", "'f8'")],
    ["Python 2's integers", changed('(2, 2)', '(2L, 2L)')],
    ['a new line', changed(', 2)', ',\n2)')],
  ])('%s is read', async (_, bytes) => {
    const { length } = good;
    // The header keeps its length: what it gained or lost is blanks at its end.
    const more = length - bytes.length;
    const at = Buffer.from(bytes).indexOf('\n', 11 + (more > 0 ? 0 : 40));
    const padded =
      more >= 0
        ? Buffer.concat([bytes.subarray(0, at), Buffer.alloc(more, ' '), bytes.subarray(at)])
        : Buffer.concat([bytes.subarray(0, at + more), bytes.subarray(at)]);
    expect(await loadNpy(padded)).toEqual(await loadNpy(good));
  });

  it('takes no more than the limits', async () => {
    expect(await loadNpy(good, { maxBytes: good.length })).toMatchObject({ shape: [2, 2] });
    for (const limits of [{ maxBytes: good.length - 1 }, { maxMemory: good.length + 8 }])
      await expect(loadNpy(good, limits)).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' });
    await expect(loadNpy(good, { maxbytes: 1 } as object)).rejects.toThrow('maxBytes');
  });
});

describe('safetensors', () => {
  it.each(fixture.safetensors.map((each) => [each] as const))(
    'are read and written as by Python (%#)',
    async (stored) => {
      const tensors = Object.fromEntries(
        Object.entries(stored.tensors).map(([name, each]) => [name, expected(each)]),
      );
      const bytes = bytesOf(stored.file);
      expect(await loadSafetensorsWithShapes(bytes)).toEqual(tensors);
      const path = join(await temporaryFolder(), 'x.safetensors');
      await saveSafetensors(path, tensors, stored.metadata === null ? {} : { metadata: stored.metadata });
      expect(new Uint8Array(await readFile(path))).toEqual(bytes);
    },
  );

  it('of a model have its shapes', async () => {
    const model = Model.sequential([nn.conv2d(1, 2, 3), nn.flatten(), nn.linear(4, 1)]);
    const params = model.init();
    const path = join(await temporaryFolder(), 'x.safetensors');
    await saveSafetensors(path, model.unflatten(params), { model });
    const shapes = model.parameters.map(({ name, shape }) => [name, shape]);
    const read = Object.entries(await loadSafetensorsWithShapes(path)).map(([name, { shape }]) => [
      name,
      shape,
    ]);
    expect(Object.fromEntries(read)).toEqual(Object.fromEntries(shapes));
    expect(model.flatten(await loadSafetensors(path))).toEqual(params);
    await saveSafetensors(path, model.unflatten(params));
    expect(model.flatten(await loadSafetensors(path))).toEqual(params);
  });

  it('of bytes have these last, so that the others are aligned', async () => {
    const path = join(await temporaryFolder(), 'x.safetensors');
    const mask = { data: Uint8Array.of(0, 255, 1), shape: [3, 1] };
    await saveSafetensors(path, { mask, flat: Uint8Array.of(7), weight: Float32Array.of(1.5) });
    const bytes = await readFile(path);
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())));
    expect(header).toEqual({
      weight: { dtype: 'F32', shape: [1], data_offsets: [0, 4] },
      flat: { dtype: 'U8', shape: [1], data_offsets: [4, 5] },
      mask: { dtype: 'U8', shape: [3, 1], data_offsets: [5, 8] },
    });
    expect(await loadSafetensorsWithShapes(path)).toEqual({
      weight: { data: Float32Array.of(1.5), shape: [1] },
      flat: { data: Int32Array.of(7), shape: [1], bytes: 'uint8' },
      mask: { data: Int32Array.of(0, 255, 1), shape: [3, 1], bytes: 'uint8' },
    });
  });

  const one = { data: new Float32Array(1), shape: [1] };
  it.each([
    ['no tensors', undefined, {}, TypeError],
    ['another type', { a: new Int8Array(1) }, {}, 'ERR_DTYPE_MISMATCH'],
    ['a tensor of it', { a: { data: new Uint16Array(1), shape: [1] } }, {}, 'ERR_DTYPE_MISMATCH'],
    ['no tensor', { a: 'b' }, {}, TypeError],
    ['half of a character in a name', { 'a\ud800': one }, {}, /the name of a tensor.*"a\\ud800"/],
    [
      'one in a name of metadata',
      { a: one },
      { metadata: { '\udc00': '' } },
      /a name in metadata.*"\\udc00"/,
    ],
    ['one in metadata', { a: one }, { metadata: { by: '\ud800' } }, /metadata\.by.*"\\ud800"/],
    ['no model', { a: one }, { model: 1 }, TypeError],
    ['a model without parameters', { a: one }, { model: {} }, TypeError],
    ['a parameter without a shape', { a: one }, { model: { parameters: [{ name: 'a' }] } }, TypeError],
    ['a shape that does not fit', { a: { ...one, shape: [2] } }, {}, 'ERR_SHAPE_MISMATCH'],
    ['the name of the metadata', { __metadata__: one }, {}, RangeError],
    ['metadata that are no words', { a: one }, { metadata: { a: 1 } }, TypeError],
    ['an unknown option', { a: one }, { meta: {} }, TypeError],
  ])('%s: refused, and no file', async (_, tensors, options, error) => {
    const folder = await temporaryFolder();
    const saved = saveSafetensors(join(folder, 'x'), tensors as never, options as never);
    if (typeof error === 'string') await expect(saved).rejects.toMatchObject({ code: error });
    else await expect(saved).rejects.toThrow(error);
    expect(await readdir(folder)).toEqual([]);
  });
});

describe('a file is there as a whole or not at all', () => {
  const [before, after] = [Float64Array.of(1, 2), new Float64Array(2 ** 20).fill(3)];

  it('for those who read it meanwhile', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'x.npy');
    await saveNpy(path, before);
    let writing = true;
    const write = async () => {
      for (let i = 0; i < 5; i++) await saveNpy(path, i % 2 === 0 ? after : before);
      writing = false;
    };
    const read = async () => {
      while (writing) expect([2, 2 ** 20]).toContain((await loadNpy(path)).data.length);
    };
    await Promise.all([write(), read()]);
    expect(await readdir(folder)).toEqual(['x.npy']);
  });

  it('holds what the array was when it was called for', async () => {
    const path = join(await temporaryFolder(), 'x.npy');
    const data = after.slice();
    const saved = saveNpy(path, data);
    data.fill(0);
    await saved;
    expect(same((await loadNpy(path)).data, after)).toBe(true);
  });

  it('where it cannot be written, nothing changes', async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, 'taken'));
    await expect(saveNpy(join(folder, 'taken'), before)).rejects.toThrow(RangeError);
    await expect(saveNpy(join(folder, 'nowhere', 'x.npy'), before)).rejects.toMatchObject({
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining('ENOENT'),
      cause: { code: 'ENOENT' },
    });
    await expect(saveNpy(join(folder, 'a\0b'), before)).rejects.toThrow(RangeError);
    await expect(saveNpy(7 as never, before)).rejects.toThrow(TypeError);
    const small = { data: new Int8Array(1), shape: [1] } as never;
    await expect(saveNpy(join(folder, 'x'), small)).rejects.toMatchObject({ code: 'ERR_DTYPE_MISMATCH' });
    expect(await readdir(folder)).toEqual(['taken']);
  });

  it('follows links and keeps permissions', async () => {
    const folder = await temporaryFolder();
    const [path, link] = [join(folder, 'x.npy'), join(folder, 'link')];
    await writeFile(path, 'old', { mode: 0o600 });
    await symlink(path, link);
    await saveNpy(link, before);
    expect((await loadNpy(path)).data).toEqual(before);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await readdir(folder)).sort()).toEqual(['link', 'x.npy']);
  });
});
