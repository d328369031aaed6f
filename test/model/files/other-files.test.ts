/** Files that are no exported program, are in half precision, or come from a newer PyTorch (scripts/reference/other_files.py). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, test } from 'vitest';
import * as api from '../../../lib/index.ts';
import { Reading } from '../../../lib/model/files/reading.ts';
import { readStateDict } from '../../../lib/model/files/state-dict.ts';
// @ts-expect-error a script of the repository, without types
import { compareModel, TOLERANCE } from '../../../scripts/zoo/compare.mjs';
import { FOLDER as MODELS } from './fixtures.ts';
import { pt2, tensorArgument } from './pt2-file.ts';

const { Model } = api;
const FOLDER = join(import.meta.dirname, '../../fixtures/other-files');
const load = (file: string, options?: api.LoadOptions) => Model.load(join(FOLDER, file), options);

test.each([
  [
    'state-dict.pt',
    /is a state dict .*model\.load_state_dict\(torch\.load\('model\.pt'\)\); torch\.export\.save\(/,
  ],
  ['checkpoint.pt', /is a state dict or checkpoint/],
  [
    'module.pt',
    /pickle of Python objects \(torch\.nn\.modules\.container\.Sequential\).*torch\.load\('model\.pt', weights_only=False\); torch\.export\.save\(/,
  ],
  ['old-state-dict.pt', /pickle of Python objects, no zip archive.*torch\.export\.save\(/],
])('%s says what it is, and the line that exports it', async (file, message) => {
  for (const options of [{}, { trusted: true }]) {
    await expect(load(file, options)).rejects.toMatchObject({
      code: 'ERR_MODEL_LOAD',
      message: expect.stringMatching(message),
    });
  }
});

test('memory of two archives is not the same, whatever their entries are called', async () => {
  const bytes = readFileSync(join(FOLDER, 'state-dict.pt'));
  const storages = async (name: string) => {
    const tensors = await readStateDict(bytes, name, new Reading());
    return [...tensors.values()].map(({ storage }) => storage);
  };
  const [weights, again, constants] = [
    await storages('weights'),
    await storages('weights'),
    await storages('constants'),
  ];
  expect(new Set(weights).size).toBe(2);
  expect(again).toEqual(weights);
  expect(new Set([...weights, ...constants]).size).toBe(4);
});

test('safetensors are told where they are read', async () => {
  const header = Buffer.from('{}');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  await expect(Model.load(Buffer.concat([length, header]))).rejects.toThrow(/loadSafetensors/);
});

describe.each(['float16', 'bfloat16'])('%s', (name) => {
  it('is refused with the option that converts it', async () => {
    await expect(load(`${name}.pt2`)).rejects.toMatchObject({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringMatching(new RegExp(`has the precision ${name}; .*\\{ dtype: 'float32' \\}`)),
    });
  });

  it('is that of the same model in one precision', async () => {
    const expected = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
    const results = await compareModel(api, join(FOLDER, `${name}.pt2`), expected);
    expect(results.length).toBeGreaterThan(20);
    for (const { product, error, refused } of results) {
      expect({ product, refused }).toEqual({ product, refused: undefined });
      expect(error, product).toBeLessThanOrEqual(TOLERANCE);
    }
    const narrow = await load(`${name}.pt2`, { dtype: 'float32' });
    expect(narrow.initialParameters).toBeInstanceOf(Float32Array);
    expect(narrow.initialParameters).toEqual(
      Float32Array.from((await load(`${name}.pt2`, { dtype: 'float64' })).initialParameters!),
    );
  });
});

test('several precisions become one, by request', async () => {
  const mixed = join(MODELS, 'refused-mixed.pt2');
  await expect(Model.load(mixed)).rejects.toThrow(/mix precisions.*\{ dtype: 'float32' \}/);
  const model = await Model.load(mixed, { dtype: 'float64' });
  expect(model.initialParameters).toBeInstanceOf(Float64Array);
  await expect(Model.load(mixed, { dtype: 'float16' as never })).rejects.toBeInstanceOf(RangeError);
  await expect(Model.load(join(MODELS, 'mlp.pt'), { trusted: true, dtype: 'float32' })).rejects.toThrow(
    /dtype is for exported programs/,
  );
});

test('a file of a newer PyTorch says which, and which operator is missing', async () => {
  const later = pt2(
    [['torch.ops.aten.of_the_future.default', [['self', tensorArgument('x')]], ['y']]],
    'y',
    [],
    { torch_version: '2.99.1+cpu' },
  );
  await expect(Model.load(later)).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(
      /no operator aten::of_the_future.*written by PyTorch 2\.99\.1\+cpu, and libtorch \d+\.\d+\.\d+.* is in use/,
    ),
  });
});

test.each([
  [9, /with an older PyTorch, or use a newer torch-curvature; the file was written by PyTorch 2\.99\.1/],
  [7, /with PyTorch 2\.5 or later/],
])('version %i of the export format is told with the way out', async (major, instead) => {
  const format = pt2([], 'x', [], { torch_version: '2.99.1', schema_version: { major, minor: 0 } });
  const message = expect.stringMatching(
    new RegExp(
      `version ${major} of the export format, expected 8: .*${instead.source}.*export\\.md#files-of-other-kinds`,
    ),
  );
  await expect(Model.load(format)).rejects.toMatchObject({ code: 'ERR_MODEL_LOAD', message });
});

test('an operator that no model may consist of is told with the page on these', async () => {
  const file = pt2([['torch.ops.aten.pin_memory.default', [['self', tensorArgument('x')]], ['y']]], 'y');
  await expect(Model.load(file)).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(
      /aten::pin_memory is not among the operators.*export\.md#what-a-program-cannot-hold/,
    ),
  });
});

test('a transform of torch.func that export leaves in is told with the line that takes it out', async () => {
  const node = 'torch._functorch.predispatch._add_batch_dim';
  await expect(Model.load(pt2([[node, [['self', tensorArgument('x')]], ['y']]], 'y'))).rejects.toMatchObject({
    code: 'ERR_UNSUPPORTED_OP',
    message: expect.stringMatching(
      /_add_batch_dim\): save program\.run_decompositions\(\{\}\) instead.*export\.md#derivatives-by-the-inputs/,
    ),
  });
});
