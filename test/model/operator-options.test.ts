/** Operators with the options that they take, against PyTorch (scripts/reference/options.py). */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { linearize, Model, matvecDense, matvecOnTheFly, type Problem } from '../../lib/index.ts';
import { byCounts } from '../support/counts.ts';
import { relativeError } from './files/fixtures.ts';

const FOLDER = join(import.meta.dirname, '../fixtures/options');

interface Options {
  cases: { name: string; width: number }[];
  x: { shape: number[]; data: number[] };
  v: number[];
  output: number[];
  jvp: number[];
  product: number[];
}

/** TorchScript has an ending of its own. */
const file = (name: string): string => join(FOLDER, `${name}${name === 'factories' ? '.script.pt' : '.pt2'}`);
const read = (name: string): Options => JSON.parse(readFileSync(join(FOLDER, `${name}.json`), 'utf8'));

const models = new Map<string, Promise<Model>>();
function modelOf(name: string): Promise<Model> {
  if (!models.has(name)) models.set(name, Model.load(file(name), { trusted: true }));
  return models.get(name)!;
}

async function problemOf(name: string, rows?: readonly [number, number]): Promise<Problem> {
  const model = await modelOf(name);
  const { x } = read(name);
  const [begin, end] = rows ?? [0, x.shape[0]!];
  const each = x.data.length / x.shape[0]!;
  return {
    model,
    params: model.initialParameters!,
    x: {
      data: Float64Array.from(x.data.slice(begin * each, end * each)),
      shape: [end - begin, ...x.shape.slice(1)],
    },
  };
}

/** The columns of one case, of all rows, or of some. */
function columns(values: ArrayLike<number>, { cases }: Options, index: number): number[] {
  const total = cases.reduce((sum, { width }) => sum + width, 0);
  const begin = cases.slice(0, index).reduce((sum, { width }) => sum + width, 0);
  return Array.from(values).filter((_, i) => {
    const column = i % total;
    return column >= begin && column < begin + cases[index]!.width;
  });
}

describe.each(['attention', 'normalization', 'operators', 'factories'])('%s', (name) => {
  const expected = read(name);
  const v = Float64Array.from(expected.v);

  test.each(expected.cases.map((each, index) => [each.name, index] as const))('%s', async (_, index) => {
    const problem = await problemOf(name);
    const output = await problem.model.forward(problem.params, problem.x);
    const part = (values: ArrayLike<number>) => columns(values, expected, index);
    expect(relativeError(part(output.data), part(expected.output))).toBeLessThan(1e-11);
    using linearization = await linearize(problem);
    expect(relativeError(part((await linearization.jvp(v)).data), part(expected.jvp))).toBeLessThan(1e-10);
    // Jᵀ of this case alone: ⟨u, J v⟩ = ⟨Jᵀu, v⟩
    const total = expected.output.length / expected.x.shape[0]!;
    const mask = columns(
      expected.output.map((_, i) => i),
      expected,
      index,
    );
    const u = new Float64Array(expected.output.length);
    for (const i of mask) u[i] = Math.sin(1 + i);
    const gradient = Array.from(await linearization.vjp({ data: u, shape: [expected.x.shape[0]!, total] }));
    const left = mask.reduce((sum, i) => sum + u[i]! * expected.jvp[i]!, 0);
    const right = gradient.reduce((sum, each, i) => sum + each * v[i]!, 0);
    expect(Math.abs(left - right)).toBeLessThan(1e-10 * (1 + Math.abs(left)));
  });

  test.each([0, 2, 1])('JᵀJ v, %i rows at once', async (chunkSize) => {
    const problem = await problemOf(name);
    const options = chunkSize === 0 ? {} : { chunkSize };
    expect(relativeError(await matvecOnTheFly(problem, v, options), expected.product)).toBeLessThan(1e-10);
    using linearization = await linearize(problem, options);
    expect(relativeError(await linearization.matvec(v), expected.product)).toBeLessThan(1e-10);
  });

  test('the same from a dense Jacobian', async () => {
    // Which takes its time, in chunks of two and what is left or, in `npm test`, of the first row.
    const rows = byCounts<[number, number] | undefined>([0, 1], undefined);
    const problem = await problemOf(name, rows);
    const dense = await matvecDense(problem, v, { strategy: 'jacobian', chunkSize: 2 });
    const product = rows === undefined ? expected.product : Array.from(await matvecOnTheFly(problem, v));
    expect(relativeError(dense, product)).toBeLessThan(1e-10);
  });

  test('one row after the other', async () => {
    const sum = new Float64Array(v.length);
    for (let row = 0; row < expected.x.shape[0]!; ++row) {
      const problem = await problemOf(name, [row, row + 1]);
      (await matvecOnTheFly(problem, v)).forEach((each, i) => {
        sum[i]! += each;
      });
    }
    expect(relativeError(sum, expected.product)).toBeLessThan(1e-10);
  });
});
