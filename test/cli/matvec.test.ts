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

describe('refuses in one line', () => {
  const whole = npy(new Float32Array([1, -1, 0.5]), [3]);
  const fortran = Buffer.from(npy(new Float32Array([1, 2, 3, 4]), [2, 2]));
  fortran.write("'fortran_order':True ", fortran.indexOf("'fortran_order'"), 'latin1');
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
    ['a file that is no array', { 'v.npy': 'once upon a time' }, /v\.npy.*Not an \.npy file/],
    ['an archive of arrays', { 'v.npy': 'PK\x03\x04…' }, /v\.npy.*archive.*numpy\.save/],
    ['an integer vector', { 'v.npy': npy(new Int32Array([1, 2, 3]), [3]) }, /v\.npy.*float32 or float64/],
    [
      'an unknown element type',
      { 'x.npy': npy(new Uint8Array([1, 2, 3, 4]), [2, 2]) },
      /x\.npy.*u1.*f4, f8, i4, i8/,
    ],
    ['column-major inputs', { 'x.npy': fortran }, /x\.npy.*column-major/],
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
