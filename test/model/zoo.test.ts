/** Small models of the zoo (scripts/zoo), every product against PyTorch's float64 values. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
// @ts-expect-error a script of the repository, without types
import { relativeError } from '../../scripts/zoo/compare.mjs';
import { modelsIn, testModels, testThatFilesAreBare } from '../support/expected-models.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/zoo');
const NAMES = modelsIn(FOLDER);

testModels(FOLDER, NAMES);
testThatFilesAreBare(FOLDER, NAMES);

it('there are thirty models or more', () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(30);
});

describe('the comparison', () => {
  it('finds a number that is wrong, missing or not a number', () => {
    expect(relativeError([1, 2.0002], [1, 2])).toBeCloseTo(1e-4);
    expect(relativeError([1], [1, 2])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError([1, Number.NaN], [1, 2])).toBeNaN();
    expect(relativeError([0, 1e-12], [0, 0])).toBe(1e-12);
  });
});
