/** Families of models made at random or by tables (scripts/reference), every product against PyTorch's float64 values. */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Model } from '../../lib/index.ts';
import { modelsIn, testModels, testThatFilesAreBare } from '../support/expected-models.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures');

/** Folders, and how many models are in each at least. */
const FAMILIES = { 'in-place': 30, complex: 11, sizes: 20, operators: 30, graphs: 24, 'no-grad': 30 };

describe.each(Object.entries(FAMILIES))('%s', (family, least) => {
  const folder = join(FIXTURES, family);
  const names = modelsIn(folder);

  testModels(folder, names);
  testThatFilesAreBare(folder, names);

  test('none is missing', () => {
    expect(names.length).toBeGreaterThanOrEqual(least);
  });
});

const load = (file: string) => Model.load(join(FIXTURES, file));

test('complex parameters, inputs and outputs are pairs of their parts along a last axis', async () => {
  const wave = await load('complex/boltzmann.pt2');
  expect(wave.parameters.map(({ name, shape }) => [name, [...shape]])).toEqual([
    ['visible', [4, 2]],
    ['hidden', [6, 2]],
    ['kernel', [4, 6, 2]],
  ]);
  expect(wave.outputs).toEqual([{ name: expect.any(String), dtype: 'float64', shape: ['batch', 2] }]);
  const signal = await load('complex/signal.pt2');
  expect(signal.inputs).toEqual([{ name: 'x', dtype: 'float64', shape: ['batch', 4, 2] }]);
});

test('numbers that vary are inputs without axes, the others are part of the model', async () => {
  const { inputs } = await load('sizes/given-numbers.pt2');
  expect(inputs).toEqual([
    { name: 'x', dtype: 'float64', shape: ['batch', 3] },
    { name: 'steps', dtype: 'int64', shape: [] },
  ]);
});
