/** Models beside what PyTorch computes for them, as the scripts of scripts/zoo and scripts/reference write them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as api from '../../lib/index.ts';
// @ts-expect-error a script of the repository, without types
import { compareModel, TOLERANCE } from '../../scripts/zoo/compare.mjs';
import { someOf } from './counts.ts';

interface Result {
  product: string;
  /** It takes rows apart. */
  cuts: boolean | 'perhaps';
  error?: number;
  refused?: { code: string; message: string };
}

/** The names of the models in a folder. */
export function modelsIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.replace('.json', ''));
}

/** Tests that every product of these models, in `npm test` of some of them, has PyTorch's float64 values. */
export function testModels(folder: string, names: readonly string[]): void {
  describe.each(someOf(names, 5))('%s', (name) => {
    it('gives the numbers of PyTorch in every product', { timeout: 60_000 }, async () => {
      const expected = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'));
      const results: Result[] = await compareModel(api, join(folder, `${name}.pt2`), expected);
      // load, forward, at least ten products of J, and those of one loss
      expect(results.length, results.map(({ refused }) => refused?.message).join('\n')).toBeGreaterThan(20);
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
}

/** Tests that the files bring no stack traces or paths of a machine. */
export function testThatFilesAreBare(folder: string, names: readonly string[]): void {
  it('none brings stack traces or paths', () => {
    for (const name of names) {
      const bytes = readFileSync(join(folder, `${name}.pt2`)).toString('latin1');
      expect(bytes, name).not.toMatch(/stack_trace":"|\.py\b|\/home\/|\/root\//);
    }
  });
}
