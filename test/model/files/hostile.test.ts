/** Files made to harm: they end in an error, and nothing else is read, written or kept waiting for. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadSafetensors, Model, tensor } from '../../../lib/index.ts';
import { FOLDER } from './fixtures.ts';
import { type GraphNode, pt2, tensorArgument as T } from './pt2-file.ts';
import { readEntries, writeZip, type ZipEntry } from './write-zip.ts';

const folder = mkdtempSync(join(tmpdir(), 'torch-curvature-hostile-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Loads the file and runs it: one of the two must say no. */
async function use(file: Uint8Array | string) {
  const model = await Model.load(file);
  return model.forward(model.initialParameters!, tensor(new Float32Array(6).fill(0.1), [2, 3]));
}
const int = (as_int: number) => ({ as_int });
const ints = (as_ints: number[]) => ({ as_ints });

test('the file that the hostile ones are made from works', async () => {
  const linear: GraphNode = [
    'torch.ops.aten.linear.default',
    [
      ['input', T('x')],
      ['weight', T('p_w')],
    ],
    ['y'],
  ];
  expect((await use(pt2([linear], 'y'))).shape).toEqual([2, 5]);
});

describe('operators that are no functions of tensors', () => {
  const secret = join(folder, 'secret');
  const created = join(folder, 'created');
  writeFileSync(secret, Buffer.alloc(64, 1));
  const file = (path: string, shared: boolean): GraphNode => [
    'torch.ops.aten.from_file.default',
    [
      ['filename', { as_string: path }],
      ['shared', { as_bool: shared }],
      ['size', int(16)],
    ],
    ['f'],
  ];
  const nodes: Record<string, GraphNode> = {
    'reading a file': file(secret, false),
    'writing a file': file(created, true),
    'foreign memory by strides': [
      'torch.ops.aten.as_strided.default',
      [
        ['self', T('x')],
        ['size', ints([2, 64])],
        ['stride', ints([64, 1])],
        ['storage_offset', int(64)],
      ],
      ['f'],
    ],
    'foreign memory by an unchecked view': [
      'torch.ops.aten._reshape_alias.default',
      [
        ['self', T('x')],
        ['size', ints([2, 4096])],
        ['stride', ints([4096, 1])],
      ],
      ['f'],
    ],
    'other elements from the same bytes': [
      'torch.ops.aten.view.dtype',
      [
        ['self', T('x')],
        ['dtype', { as_scalar_type: 5 }],
      ],
      ['f'],
    ],
    'sparse tensors': ['torch.ops.aten.to_sparse.default', [['self', T('x')]], ['f']],
    'lengths on trust': ['torch.ops.aten.segment_reduce.default', [['data', T('x')]], ['f']],
  };
  test.each(Object.entries(nodes))('%s', async (_, node) => {
    await expect(use(pt2([node], 'f'))).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringMatching(
        /is not among the operators that a model may consist of|gives memory another shape/,
      ),
    });
  });
  test('no file was made', () => expect(existsSync(created)).toBe(false));
});

describe('arguments that libtorch takes on trust', () => {
  const nodes: Record<string, readonly GraphNode[]> = {
    'axes of a Fourier transform': [
      [
        'torch.ops.aten._fft_r2c.default',
        [
          ['self', T('x')],
          ['dim', ints([1, 63])],
          ['normalization', int(0)],
          ['onesided', { as_bool: true }],
        ],
        ['f'],
      ],
      ['torch.ops.aten.abs.default', [['self', T('f')]], ['y']],
    ],
    'weights of a batch norm': [
      ['torch.ops.aten.zeros.default', [['size', ints([2])]], ['z']],
      [
        'torch.ops.aten.batch_norm.default',
        [
          ['input', T('x')],
          ['weight', T('z')],
          ['bias', T('z')],
          ['running_mean', T('z')],
          ['running_var', T('z')],
          ['training', { as_bool: false }],
          ['momentum', { as_float: 0.1 }],
          ['eps', { as_float: 1e-5 }],
          ['cudnn_enabled', { as_bool: false }],
        ],
        ['y'],
      ],
    ],
    'a batch norm without statistics': [
      [
        'torch.ops.aten.batch_norm.default',
        [
          ['input', T('x')],
          ['weight', { as_none: true }],
          ['bias', { as_none: true }],
          ['running_mean', { as_none: true }],
          ['running_var', { as_none: true }],
          ['training', { as_bool: false }],
          ['momentum', { as_float: 0.1 }],
          ['eps', { as_float: 1e-5 }],
          ['cudnn_enabled', { as_bool: false }],
        ],
        ['y'],
      ],
    ],
    'offsets of bags': [
      [
        'torch.ops.aten.full.default',
        [
          ['size', ints([2])],
          ['fill_value', int(1000)],
          ['dtype', { as_scalar_type: 5 }],
        ],
        ['i'],
      ],
      [
        'torch.ops.aten.embedding_bag.default',
        [
          ['weight', T('p_w')],
          ['indices', T('i')],
          ['offsets', T('i')],
        ],
        ['y', 'a', 'b', 'c'],
      ],
    ],
    'slices of a weight norm': [
      ['torch.ops.aten.zeros.default', [['size', ints([1])]], ['z']],
      [
        'torch.ops.aten._weight_norm_interface.default',
        [
          ['v', T('x')],
          ['g', T('z')],
          ['dim', int(0)],
        ],
        ['y', 'n'],
      ],
    ],
  };
  test.each(Object.entries(nodes))('%s', async (_, graph) => {
    await expect(use(pt2(graph, 'y'))).rejects.toMatchObject({
      code: expect.stringMatching(/^ERR_(SHAPE_MISMATCH|UNSUPPORTED_OP|MODEL_LOAD)$/),
    });
  });
});

test('a tensor that no memory holds is refused before it is allocated', async () => {
  const huge: GraphNode = ['torch.ops.aten.ones.default', [['size', ints([2 ** 31, 2 ** 10])]], ['y']];
  const before = process.resourceUsage().maxRSS;
  await expect(use(pt2([huge], 'y'))).rejects.toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
  expect(process.resourceUsage().maxRSS - before).toBeLessThan(500_000);
});

test('a size beyond 64 bits is no trap of the processor', async () => {
  const size = (op: string, left: unknown, right: unknown, name: string) => ({
    target: `_operator.${op}`,
    inputs: [left, right].map((arg, i) => ({ name: 'ab'[i], arg, kind: 1 })),
    outputs: [{ as_sym_int: { as_name: name } }],
    metadata: {},
  });
  const least = size('mul', int(-(2 ** 52)), int(2048), 'm');
  const quotient = size('floordiv', { as_sym_int: { as_name: 'm' } }, int(-1), 'q');
  const full: GraphNode = [
    'torch.ops.aten.full.default',
    [
      ['size', { as_sym_ints: [{ as_name: 'q' }] }],
      ['fill_value', { as_float: 1 }],
    ],
    ['f'],
  ];
  await expect(use(pt2([full], 'f', [least, quotient]))).rejects.toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringContaining('beyond 64 bits'),
  });
});

describe('paths that are no files', () => {
  const notFile = { code: 'ERR_MODEL_LOAD', message: expect.stringContaining('no regular file') };
  test('a pipe that nobody writes to', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    await expect(Model.load(pipe)).rejects.toMatchObject(notFile);
  });
  test('a device without an end', () => expect(Model.load('/dev/zero')).rejects.toMatchObject(notFile));
  test('a folder', () => expect(Model.load(folder)).rejects.toMatchObject(notFile));
});

describe('limits', () => {
  const linear: GraphNode = [
    'torch.ops.aten.linear.default',
    [
      ['input', T('x')],
      ['weight', T('p_w')],
    ],
    ['y'],
  ];
  const file = pt2([linear, ['torch.ops.aten.tanh.default', [['self', T('y')]], ['z']]], 'z');
  test('of the size of a file', () =>
    expect(Model.load(file, { maxBytes: 1000 })).rejects.toThrow(
      /at most 1000 are read \(the option maxBytes\)/,
    ));
  test('of the size of its graph', () =>
    expect(Model.load(file, { maxNodes: 1 })).rejects.toThrow(/2 operators; at most 1 are taken/));
  test('of the memory that reading it takes', () =>
    expect(Model.load(file, { maxMemory: 20_000 })).rejects.toThrow(
      /at most 20000 are taken \(the option maxMemory\)/,
    ));
  test('of nesting', () =>
    expect(Model.load(file, { maxNesting: 3 })).rejects.toThrow(/more than 3 levels of nesting/));
  test('that it keeps', async () => {
    const limits = { maxBytes: file.length, maxNodes: 2, maxMemory: 10 ** 6, maxNesting: 20 };
    expect((await Model.load(file, limits)).parameterCount).toBe(15);
  });
  test('that are no numbers', () => expect(Model.load(file, { maxMemory: 0 })).rejects.toThrow(RangeError));
  test('of other files', async () => {
    const header = Buffer.from('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(header.length));
    const bytes = Buffer.concat([size, header, Buffer.alloc(4)]);
    expect(await loadSafetensors(bytes, { maxBytes: bytes.length })).toEqual({ a: new Float32Array(1) });
    await expect(loadSafetensors(bytes, { maxBytes: 10 })).rejects.toThrow(/\(the option maxBytes\)/);
    await expect(loadSafetensors(bytes, { maxNesting: 1 })).rejects.toThrow(/more than 1 levels/);
  });
  test('where many tensors share a few bytes', async () => {
    // Each alone is as large as its bytes; a thousand of them are a thousand times the file.
    const entries = await readEntries(file);
    const config = entries.find(({ name }) => name.endsWith('weights_config.json'))!;
    const weight = entries.find(({ name }) => /data\/weights\/[^.]+$/.test(name))!;
    const graph = entries.find(({ name }) => name.endsWith('model.json'))!;
    weight.data = new Uint8Array(4 * 2 ** 21);
    const program = JSON.parse(Buffer.from(graph.data).toString());
    const { config: layouts } = JSON.parse(Buffer.from(config.data).toString());
    const [name] = Object.keys(layouts);
    const specs = program.graph_module.signature.input_specs;
    for (let i = 0; i < 1000; ++i) {
      const layout = structuredClone(layouts[name!]);
      layout.tensor_meta.sizes = [int(2 ** 21 - i)];
      layout.tensor_meta.strides = [int(1)];
      layouts[`w${i}`] = layout;
      specs.unshift({ parameter: { arg: { name: `p_w${i}` }, parameter_name: `w${i}` } });
    }
    config.data = Buffer.from(JSON.stringify({ config: layouts }));
    graph.data = Buffer.from(JSON.stringify(program));
    await expect(Model.load(writeZip(entries))).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: expect.stringContaining('(the option maxMemory)'),
    });
  });
});

describe('TorchScript', () => {
  const script = readFileSync(join(FOLDER, 'mlp-float32.script.pt'));
  const trusted = { trusted: true } as const;
  const changed = async (change: (entries: ZipEntry[]) => void) => {
    const entries = await readEntries(script);
    change(entries);
    return writeZip(entries);
  };
  const code = (entries: ZipEntry[]) => entries.find(({ name }) => name.endsWith('.py'))!;

  test('needs trust', async () => {
    const refused = { code: 'ERR_UNTRUSTED_MODEL', message: expect.stringContaining('torch.export.save(') };
    await expect(Model.load(script)).rejects.toMatchObject(refused);
    await expect(Model.load(script, { trusted: false })).rejects.toMatchObject(refused);
    expect((await Model.load(script, trusted)).parameterCount).toBeGreaterThan(0);
  });

  const deep = 100_000;
  const bodies = {
    parentheses: `return ${'('.repeat(deep)}x${')'.repeat(deep)}`,
    calls: `return ${'torch.tanh('.repeat(deep)}x${')'.repeat(deep)}`,
    'unary operators': `n = ${'-'.repeat(deep)}1`,
    'unary operators with blanks': `n = ${'- '.repeat(deep)}1`,
    negations: `n = ${'not '.repeat(deep)}True`,
    types: `n = annotate(${'List['.repeat(deep)}int${']'.repeat(deep)}, [])`,
    attributes: `n = x${'.a'.repeat(deep)}`,
    sums: `n = 1${' + 1'.repeat(deep)}`,
    'a string that hides brackets': `"""a"b"""${'('.repeat(deep)}x${')'.repeat(deep)}`,
  };
  test.each(Object.entries(bodies))('deep nesting by %s', async (_, body) => {
    const file = await changed((entries) => {
      const entry = code(entries);
      entry.data = Buffer.from(`${Buffer.from(entry.data)}\n  def deep(self, x):\n    ${body}\n`);
    });
    await expect(Model.load(file, trusted)).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' });
  });
  const pickles = {
    tuples: [Buffer.from('\x80\x02N', 'latin1'), Buffer.alloc(1e6, 0x85), Buffer.from('.')],
    lists: [
      Buffer.from('\x80\x02', 'latin1'),
      Buffer.alloc(1e6, 0x5d),
      Buffer.alloc(1e6 - 1, 0x61),
      Buffer.from('\x85.', 'latin1'),
    ],
  };
  test.each(Object.entries(pickles))('deep nesting of %s in a pickle', async (_, parts) => {
    const file = await changed((entries) => {
      entries.find(({ name }) => name.endsWith('constants.pkl'))!.data = Buffer.concat(parts);
    });
    await expect(Model.load(file, trusted)).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD' });
  });
  test('names that differ by case', async () => {
    const file = await changed((entries) => {
      const entry = code(entries);
      entries.push({ ...entry, name: entry.name.toUpperCase().replace(/^[^/]*/, entry.name.split('/')[0]!) });
    });
    await expect(Model.load(file, trusted)).rejects.toThrow(/upper and lower case/);
  });
  test('two folders', async () => {
    const file = await changed((entries) =>
      entries.unshift({ name: 'other/data.pkl', data: Buffer.from('.') }),
    );
    await expect(Model.load(file, trusted)).rejects.toThrow(/2 folders/);
  });
});
