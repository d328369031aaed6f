import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { someOf } from '../support/counts.ts';
import { relativeError } from '../support/models.ts';
import { filesOf, npy } from './files.ts';

async function files(overrides: Record<string, string | Uint8Array> = {}) {
  const { run, array } = await filesOf(overrides);
  const matvec = (...extra: string[]) =>
    run('matvec', '--model', 'model.json', '--x', 'x.npy', '--v', 'v.npy', '--out', 'out.npy', ...extra);
  return { matvec, result: () => array('out.npy') };
}

// J = [[1, 2, 1], [3, 4, 1]], so J v = [-0.5, -0.5] and Jᵀ of that:
const PRODUCT = [-2, -3, -1];

it.each(['on-the-fly', 'dense'])('computes a known product, %s', async (method) => {
  const { matvec, result } = await files();
  const outcome = await matvec(
    '--params',
    'params.npy',
    '--method',
    method,
    '--threads',
    '1',
    '--chunk-size',
    '1',
  );
  expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' });
  const { data, shape, dtype } = await result();
  expect({ shape, dtype }).toEqual({ shape: [3], dtype: 'f4' });
  expect(data).toEqual(PRODUCT);
});

it('works in float64, with parameters initialized from a seed', async () => {
  const { matvec, result } = await files({
    'x.npy': npy(new Float64Array([1, 2, 3, 4]), [2, 2]),
    'v.npy': npy(new Float64Array([1, -1, 0.5]), [3]),
  });
  expect((await matvec('--seed', '3')).code).toBe(0);
  const { data, dtype } = await result();
  expect(dtype).toBe('f8');
  expect(data).toEqual(PRODUCT);
});

it('reads what NumPy pads to 64 bytes', async () => {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }".padEnd(117, ' ').concat('\n');
  const bytes = Buffer.concat([
    Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0]),
    Buffer.from(header, 'latin1'),
    Buffer.from(new Float32Array([1, -1, 0.5]).buffer),
  ]);
  const { matvec, result } = await files({ 'v.npy': bytes });
  expect((await matvec('--params', 'params.npy')).code).toBe(0);
  expect((await result()).data).toEqual(PRODUCT);
});

it.each(['mlp.pt2', 'mlp.pt'])("takes %s with the file's own parameters", async (name) => {
  const file = fileURLToPath(new URL(`../fixtures/models/${name}`, import.meta.url));
  const expected = JSON.parse(await readFile(file.replace(/\.pt2?$/, '.json'), 'utf8'));
  const [x] = expected.inputs;
  const { matvec, result } = await files({
    'x.npy': npy(Float64Array.from(x.data), x.shape),
    'v.npy': npy(Float64Array.from(expected.v), [expected.v.length]),
  });
  if (name.endsWith('.pt')) {
    const { code, stderr } = await matvec('--model', file);
    expect([code, stderr]).toEqual([1, expect.stringContaining('it is TorchScript, which is code')]);
  }
  expect(await matvec('--model', file, '--trusted')).toEqual({ code: 0, stdout: '', stderr: '' });
  const { data, dtype } = await result();
  expect(dtype).toBe('f8');
  expect(relativeError(data, expected.product)).toBeLessThan(1e-10);
});

/** A `.npy` file of any kind of element, in either order. */
function npyOf(descr: string, data: Uint8Array, shape: readonly number[], columnMajor = false): Uint8Array {
  const order = columnMajor ? 'True' : 'False';
  const header = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape.join(', ')},), }`;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, 118, 0]);
  return Buffer.concat([start, Buffer.from(header.padEnd(117, ' ').concat('\n'), 'latin1'), data]);
}
const bytes = (array: ArrayBufferView) => Buffer.from(array.buffer.slice(0));

describe('reads every kind of .npy file that loadNpy reads', () => {
  const floats = bytes(Float32Array.of(1, 2, 3, 4));
  it.each<[string, Uint8Array]>([
    ['column-major', npyOf('<f4', bytes(Float32Array.of(1, 3, 2, 4)), [2, 2], true)],
    ['big-endian', npyOf('>f4', floats.swap32(), [2, 2])],
    ['half precision', npyOf('<f2', bytes(Uint16Array.of(0x3c00, 0x4000, 0x4200, 0x4400)), [2, 2])],
  ])('inputs: %s', async (_, x) => {
    const { matvec, result } = await files({ 'x.npy': x });
    expect(await matvec('--params', 'params.npy')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await result()).data).toEqual(PRODUCT);
  });

  it.each<[string, Uint8Array]>([
    ['<i8', bytes(BigInt64Array.of(0n, 1n))],
    ['>i8', bytes(BigInt64Array.of(0n, 1n)).swap64()],
    ['<u4', bytes(Uint32Array.of(0, 1))],
    ['<i4', bytes(Int32Array.of(0, 1))],
    ['<i2', bytes(Int16Array.of(0, 1))],
    ['|u1', Buffer.of(0, 1)],
    ['|i1', Buffer.of(0, 1)],
    ['|b1', Buffer.of(0, 1)],
  ])('classes: %s', async (descr, data) => {
    const { on, json } = await filesOf({
      'model.json': JSON.stringify({ layers: [['linear', 2, 2]] }),
      'params.npy': npy(new Float32Array([0, 0, 1, 0, 0, 0]), [6]),
      'c.npy': npyOf(descr, data, [2]),
    });
    const args = ['--loss', 'cross_entropy', '--target', 'c.npy', '--steps', '1'];
    const { code, stderr } = await on('train', ...args, '--out', 'p.npy', '--json', 'r.json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    // Logits (0, 1) of class 0 and (0, 3) of class 1.
    const loss = (Math.log1p(Math.exp(1)) + Math.log1p(Math.exp(-3))) / 2;
    expect((await json('r.json')).initialLoss).toBeCloseTo(loss, 6);
  });

  it('bytes, for a model that takes bytes', async () => {
    const folder = new URL('../fixtures/signatures/', import.meta.url);
    const { inputs, v, jtjv } = JSON.parse(await readFile(new URL('bytes.json', folder), 'utf8'));
    const decoded = ({ base64 }: { base64: string }) => Buffer.from(base64, 'base64');
    const { matvec, result } = await files({
      'x.npy': npyOf('|u1', decoded(inputs[0]), inputs[0].shape),
      'v.npy': npyOf('<f8', decoded(v), v.shape),
    });
    const model = fileURLToPath(new URL('bytes.pt2', folder));
    expect(await matvec('--model', model)).toEqual({ code: 0, stdout: '', stderr: '' });
    const expected = decoded(jtjv);
    const product = new Float64Array(
      expected.buffer.slice(expected.byteOffset, expected.byteOffset + expected.length),
    );
    expect(relativeError((await result()).data, product)).toBeLessThan(1e-10);
  });
});

// `~` of the mask: of bytes it would be 255 and 254.
it.each([
  ['TorchScript', 'masked.pt', ['--trusted']],
  ['an exported program', 'masked.pt2', []],
])('truth values are these for %s', async (_, name, trusted) => {
  const folder = new URL('../fixtures/signatures/', import.meta.url);
  const { inputs, params, v, jtjv } = JSON.parse(await readFile(new URL('masked.json', folder), 'utf8'));
  const decoded = ({ base64 }: { base64: string }) => Buffer.from(base64, 'base64');
  const { run, array } = await filesOf({
    'x.npy': npyOf('<f8', decoded(inputs[0]), inputs[0].shape),
    'mask.npy': npyOf('|b1', decoded(inputs[1]), inputs[1].shape),
    'bytes.npy': npyOf('|u1', decoded(inputs[1]), inputs[1].shape),
    'params.npy': npyOf('<f8', decoded(params), params.shape),
    'v.npy': npyOf('<f8', decoded(v), v.shape),
  });
  const model = ['--model', fileURLToPath(new URL(name, folder)), ...trusted, '--params', 'params.npy'];
  const matvec = (mask: string) =>
    run('matvec', ...model, '--x', 'x.npy', '--x', mask, '--v', 'v.npy', '--out', 'out.npy');
  expect(await matvec('mask.npy')).toEqual({ code: 0, stdout: '', stderr: '' });
  const expected = new Float64Array(Uint8Array.from(decoded(jtjv)).buffer);
  expect(relativeError((await array('out.npy')).data, expected)).toBeLessThan(1e-12);
  // A program says what it takes; of TorchScript, the array does, as in PyTorch, where such a mask is refused.
  const ofBytes = await matvec('bytes.npy');
  if (trusted.length === 0) expect(ofBytes.code).toBe(0);
  else expect(ofBytes).toMatchObject({ code: 1, stderr: expect.stringMatching(/bool/) });
});

describe('refuses in one line', () => {
  const whole = npy(new Float32Array([1, -1, 0.5]), [3]);
  const complex = Buffer.from(npy(new Float64Array([1, 2, 3, 4]), [2, 2]));
  complex.write('<c8', complex.indexOf('<f8'), 'latin1');
  const contents: [string, Record<string, string | Uint8Array>, RegExp][] = [
    ['an array cut in an element', { 'v.npy': whole.subarray(0, whole.length - 2) }, /v\.npy.*truncated/],
    [
      'an array cut between elements',
      { 'v.npy': whole.subarray(0, whole.length - 4) },
      /v\.npy.*needs 3 elements, 2/,
    ],
    ['an array cut in its header', { 'v.npy': whole.subarray(0, 20) }, /v\.npy.*truncated/],
    [
      'an array with bytes left over',
      { 'v.npy': Buffer.concat([whole, Buffer.alloc(4)]) },
      /needs 3 elements, 4/,
    ],
    ['an empty file', { 'v.npy': '' }, /v\.npy.*truncated/],
    ['a file that is no array', { 'v.npy': 'once upon a time' }, /v\.npy.*not an \.npy file/],
    ['an archive of arrays', { 'v.npy': 'PK\x03\x04…' }, /v\.npy.*archive.*numpy\.save/],
    ['an integer vector', { 'v.npy': npy(new Int32Array([1, 2, 3]), [3]) }, /v\.npy.*float32 or float64/],
    ['an unknown element type', { 'x.npy': complex }, /x\.npy.*<c8.*f8, f4, f2, i8, u4.*ERR_UNSUPPORTED_OP/],
    ['a vector too long', { 'v.npy': npy(new Float32Array(4), [4]) }, /ERR_SHAPE_MISMATCH/],
    ['a vector of the other precision', { 'v.npy': npy(new Float64Array(3), [3]) }, /ERR_DTYPE_MISMATCH/],
    ['inputs of the other precision', { 'x.npy': npy(new Float64Array(4), [2, 2]) }, /ERR_DTYPE_MISMATCH/],
    ['inputs of the wrong width', { 'x.npy': npy(new Float32Array(6), [2, 3]) }, /ERR_SHAPE_MISMATCH/],
    ['a model that is no JSON', { 'model.json': '{"layers": [' }, /model\.json.*ERR_MODEL_LOAD/],
    ['a model without layers', { 'model.json': '[]' }, /"layers".*ERR_MODEL_LOAD/],
    ['an unknown layer', { 'model.json': '{"layers":[["linnear",2,1]]}' }, /layer 0.*linear.*ERR_MODEL_LOAD/],
    ['a layer not of nn itself', { 'model.json': '{"layers":[["toString"]]}' }, /layer 0.*ERR_MODEL_LOAD/],
    [
      'a layer with bad arguments',
      { 'model.json': '{"layers":[["linear",2,-1]]}' },
      /linear.*ERR_MODEL_LOAD/,
    ],
  ];
  it.each(someOf(contents, 5))('%s', async (_, overrides, reason) => {
    const { matvec } = await files(overrides);
    const { code, stdout, stderr } = await matvec('--params', 'params.npy');
    expect(stderr).toMatch(reason);
    expect(stderr).toMatch(/^torch-curvature: [^\n]*\n$/);
    expect(stdout).toBe('');
    expect(code).toBe(1);
  });

  it.each([
    ['a folder', ['--params', '.'], 1, /EISDIR: \. is a folder/],
    ['a missing file', ['--params', 'nowhere.npy'], 1, /ENOENT.*nowhere\.npy/],
    [
      'a place that cannot be written',
      ['--params', 'params.npy', '--out', 'no/such/folder.npy'],
      1,
      /ENOENT/,
    ],
    [
      'a model file of unknown kind',
      ['--params', 'params.npy', '--model', 'model.onnx'],
      1,
      /\.onnx.*ERR_MODEL_LOAD/,
    ],
    ['no parameters', [], 2, /--params FILE, or --seed N/],
    ['parameters twice', ['--params', 'params.npy', '--seed', '0'], 2, /cannot be used with/],
  ] as const)('%s', async (_, extra, exitCode, reason) => {
    const { matvec } = await files();
    const { code, stderr } = await matvec(...extra);
    expect(stderr).toMatch(reason);
    expect(code).toBe(exitCode);
  });

  it.skipIf(process.env.TORCH_CURVATURE_VARIANT === 'cuda')('a device that is not there', async () => {
    const { matvec } = await files();
    const { code, stderr } = await matvec('--params', 'params.npy', '--device', 'cuda:63');
    expect(stderr).toMatch(/^torch-curvature: .*\(ERR_DEVICE_UNAVAILABLE\)\n$/);
    expect(code).toBe(1);
  });
});
