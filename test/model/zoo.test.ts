/** Small models of the zoo (scripts/zoo), every product against PyTorch's float64 values. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as api from '../../lib/index.ts';
// @ts-expect-error a script of the repository, without types
import { compareModel, relativeError, TOLERANCE } from '../../scripts/zoo/compare.mjs';

interface Result {
  product: string;
  /** It takes rows apart. */
  cuts: boolean | 'perhaps';
  error?: number;
  refused?: { code: string; message: string };
}

const FOLDER = join(import.meta.dirname, '../fixtures/zoo');
const NAMES = readdirSync(FOLDER)
  .filter((file) => file.endsWith('.json'))
  .map((file) => file.replace('.json', ''));

describe.each(NAMES)('%s', (name) => {
  it('gives the numbers of PyTorch in every product', { timeout: 60_000 }, async () => {
    const expected = JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));
    const results: Result[] = await compareModel(api, join(FOLDER, `${name}.pt2`), expected);
    // load, forward, at least ten products of J, and those of one loss
    expect(results.length).toBeGreaterThan(20);
    for (const { product, cuts, error, refused } of results) {
      if (cuts && !expected.independent && refused !== undefined) {
        expect(refused.code, product).toMatch(/ERR_UNSUPPORTED_OP|ERR_SHAPE_MISMATCH/);
      } else if (cuts === true && !expected.independent && expected.dynamic) {
        // Nothing that takes dependent rows apart can be right; a file of a fixed batch may run as a whole.
        expect(product).toBe('refused');
      } else {
        expect({ product, refused, error }).toEqual({
          product,
          refused: undefined,
          error: expect.any(Number),
        });
        expect(error, product).toBeLessThanOrEqual(TOLERANCE);
      }
    }
  });
});

it('there are thirty models or more, and none brings stack traces or paths', () => {
  expect(NAMES.length).toBeGreaterThanOrEqual(30);
  for (const name of NAMES) {
    const bytes = readFileSync(join(FOLDER, `${name}.pt2`)).toString('latin1');
    expect(bytes, name).not.toMatch(/stack_trace":"|\.py\b|\/home\/|\/root\//);
  }
});

describe('the comparison', () => {
  it('finds a number that is wrong, missing or not a number', () => {
    expect(relativeError([1, 2.0002], [1, 2])).toBeCloseTo(1e-4);
    expect(relativeError([1], [1, 2])).toBe(Number.POSITIVE_INFINITY);
    expect(relativeError([1, Number.NaN], [1, 2])).toBeNaN();
    expect(relativeError([0, 1e-12], [0, 0])).toBe(1e-12);
  });
});
