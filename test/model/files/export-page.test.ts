/** The page "Export your model": its files compute what PyTorch does, and refusals name sections that it has. */
import { existsSync, readdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gramian, Model, matvecOnTheFly, nn, type Tensor } from '../../../lib/index.ts';
import { SECTIONS } from '../../../lib/model/files/help.ts';
import { relativeError, vector } from '../../support/models.ts';
import { FOLDER } from './fixtures.ts';

const ROOT = join(import.meta.dirname, '../../..');
const FILES = join(ROOT, 'test/fixtures/export');
const PAGE = join(ROOT, 'scripts/docs/export.md');

interface Stored {
  shape: number[];
  data: number[];
}
const expected: Record<string, { x: Stored; y: Stored; numbers?: number[] }> = JSON.parse(
  await readFile(join(FILES, 'expected.json'), 'utf8'),
);
const double = ({ data, shape }: Stored): Tensor<Float64Array> => ({ data: Float64Array.from(data), shape });

it.each(Object.keys(expected))('%s gives the outputs of PyTorch', async (name) => {
  const { x, y, numbers = [] } = expected[name]!;
  const model = await Model.load(join(FILES, name));
  const found = await model.forward(model.init({ dtype: 'float64' }), [
    double(x),
    ...numbers.map((each) => ({ data: BigInt64Array.of(BigInt(each)), shape: [] })),
  ]);
  expect(found.shape).toEqual(y.shape);
  expect(relativeError(found.data, y.data)).toBeLessThan(1e-5); // which are in float32
});

it('the spellings of a Laplacian are one function of the same parameters', async () => {
  const { x } = expected['laplacian-forward.pt2']!;
  const products = await Promise.all(
    ['forward', 'backward', 'functional'].map(async (name) => {
      const model = await Model.load(join(FILES, `laplacian-${name}.pt2`));
      const params = model.init({ dtype: 'float64' });
      using G = await gramian({ model, params, x: double(x) });
      return G.matvec(vector(model.parameterCount));
    }),
  );
  for (const each of products.slice(1)) expect(relativeError(each, products[0]!)).toBeLessThan(1e-12);
});

it('a value that is detached has the derivative of what it stands for', async () => {
  const model = await Model.load(join(FILES, 'rounded.pt2'));
  const linear = Model.sequential([nn.linear(4, 3)]);
  const params = model.init({ dtype: 'float64' });
  const x = double(expected['rounded.pt2']!.x);
  const v = vector(model.parameterCount);
  const [found, expectedProduct] = await Promise.all(
    [model, linear].map((each) => matvecOnTheFly({ model: each, params, x }, v)),
  );
  expect(relativeError(found!, expectedProduct!)).toBeLessThan(1e-14);
});

describe('refusals', () => {
  const slug = (title: string) =>
    title
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-');

  it('name sections that the page has', async () => {
    const titles = Array.from((await readFile(PAGE, 'utf8')).matchAll(/^## (.*)$/gm), ([, title]) =>
      slug(title!),
    );
    expect(titles).toEqual(expect.arrayContaining(SECTIONS.map(([, section]) => section)));
  });

  /** What each file of the tests of refusals is to be helped with. */
  const HELP: readonly (readonly [RegExp, string])[] = [
    [/dropout|random/, 'evaluation-mode'],
    [/half|mixed/, 'precision'],
    [/cond|branch|item|mutation/, 'what-a-program-cannot-hold'],
  ];
  const files = readdirSync(FOLDER).filter((name) => name.startsWith('refused-'));

  it.each(files)('%s', async (name) => {
    const error = await Model.load(join(FOLDER, name), { trusted: true }).then(
      () => undefined,
      (reason: Error) => reason,
    );
    expect(error).toMatchObject({ code: 'ERR_UNSUPPORTED_OP' });
    const [, section] = HELP.find(([files]) => files.test(name)) ?? [];
    expect(error!.message).toMatch(new RegExp(`\\(see scripts/docs/export\\.md#${section ?? '[\\w-]+'}\\)$`));
    expect(error!.message.match(/export\.md/g)).toHaveLength(1);
  });

  it.each([
    ['TorchScript', join(FOLDER, 'mlp.pt'), 'ERR_UNTRUSTED_MODEL'],
    ['what is no archive', Buffer.from('once upon a time'), 'ERR_MODEL_LOAD'],
  ])('%s', async (_, source, code) => {
    await expect(Model.load(source)).rejects.toMatchObject({
      code,
      message: expect.stringContaining('(see scripts/docs/export.md#files-of-other-kinds)'),
    });
  });

  it('of a missing file has nothing to see', async () => {
    expect(existsSync('none.pt2')).toBe(false);
    await expect(Model.load('none.pt2')).rejects.toThrow(/^none\.pt2: ENOENT[^(]*$/);
  });
});
