/** Transposes, multiples and submatrices, against the matrices themselves. */
import { describe, expect, it } from 'vitest';
import {
  customOperator,
  denseOperator,
  Generator,
  gramianSync,
  jacobianSync,
  type LinearOperator,
  Model,
  nn,
  ntkSync,
  tensor,
} from '../../lib/index.ts';

const model = Model.sequential([nn.linear(3, 2), nn.tanh(), nn.linear(2, 2)]);
const params = model.init({ seed: 0, dtype: 'float64' });
const P = model.parameterCount;
const x = new Generator(1).randn([4, 3], { dtype: 'float64' });
const problem = { model, params, x };
const other = { ...problem, params: params.map((each) => each + 0.1) };
const rows = 8;
const numbers = (length: number, seed: number) =>
  new Generator(seed).randn([length], { dtype: 'float64' }).data;

/** Rows of an operator, from its matrix. */
function matrixOf(op: LinearOperator<Float64Array>): number[][] {
  const { data, shape } = op.toDenseSync();
  return Array.from({ length: shape[0]! }, (_, i) =>
    Array.from(data.subarray(i * shape[1]!, (i + 1) * shape[1]!)),
  );
}

const transposed = (a: number[][]) => a[0]!.map((_, j) => a.map((row) => row[j]!));
const times = (a: number[][], b: number[][]) =>
  a.map((row) => transposed(b).map((column) => row.reduce((sum, each, i) => sum + each * column[i]!, 0)));
const apply = (a: number[][], v: Float64Array) =>
  a.map((row) => row.reduce((sum, each, i) => sum + each * v[i]!, 0));

function expectClose(actual: Iterable<number>, expected: Iterable<number>): void {
  const [a, b] = [Array.from(actual), Array.from(expected)];
  expect(a).toHaveLength(b.length);
  const largest = Math.max(1e-300, ...b.map(Math.abs));
  for (let i = 0; i < b.length; i++) expect(Math.abs(a[i]! - b[i]!) / largest).toBeLessThan(1e-12);
}

const expectSame = (op: LinearOperator<Float64Array>, expected: number[][]) => {
  expect(op.shape).toEqual([expected.length, expected[0]!.length]);
  expectClose(matrixOf(op).flat(), expected.flat());
  const v = numbers(op.shape[1], 5);
  expectClose(op.matvecSync(v), apply(expected, v));
  const u = numbers(op.shape[0], 6);
  expectClose(op.rmatvecSync(u), apply(transposed(expected), u));
};

describe('T', () => {
  const J = jacobianSync(problem);
  const dense = matrixOf(J);

  it('exchanges products and shape', async () => {
    using T = J.T;
    expect(T).toMatchObject({ kind: 'transpose', shape: [P, rows], dtype: 'float64', engine: J.engine });
    expectSame(T, transposed(dense));
    const vectors = numbers(2 * rows, 7);
    expect(await T.matmat(vectors, 2)).toEqual(await J.rmatmat(vectors, 2));
    expect(T.rmatmatSync(numbers(2 * P, 8), 2)).toEqual(J.matmatSync(numbers(2 * P, 8), 2));
  });

  it('takes vectors as the rows and columns of the original do', () => {
    using T = J.T;
    const u = numbers(rows, 6);
    expect(T.matvecSync({ data: u, shape: [4, 2] })).toEqual(J.rmatvecSync(u));
    expect(T.rmatvecSync(model.unflatten(params))).toEqual(J.matvecSync(params));
    expect(() => T.matvecSync(params)).toThrow(expect.objectContaining({ code: 'ERR_SHAPE_MISMATCH' }));
  });

  it('twice is the original, and the same each time', () => {
    using op = jacobianSync(problem);
    const T = op.T;
    expect(T.T).toBe(op);
    expect(op.T).toBe(T);
    T.dispose();
    expect(op.T).not.toBe(T);
    expectSame(op.T, transposed(dense));
  });

  it('outlives the original, and the other way round', () => {
    const op = jacobianSync(problem);
    const T = op.T;
    op.dispose();
    expectSame(T, transposed(dense));
    expectSame(T.T, dense);
    expect(() => op.T).toThrow(expect.objectContaining({ code: 'ERR_DISPOSED' }));
  });

  it('combines as any operator does', () => {
    using J2 = jacobianSync(other);
    expectSame(J.multiply(J2.T), times(dense, transposed(matrixOf(J2))));
    expectSame(
      J.T.scale(3).add(J2.T),
      transposed(dense.map((row, i) => row.map((each, j) => 3 * each + matrixOf(J2)[i]![j]!))),
    );
    using kernel = ntkSync(problem);
    expectSame(J.multiply(J.T), matrixOf(kernel));
    using gram = gramianSync(problem);
    expectSame(J.T.multiply(J), matrixOf(gram));
  });

  it('of a symmetric operator is one of its own', () => {
    using gram = gramianSync(problem);
    const T = gram.T;
    expect(T).toMatchObject({ symmetric: true, kind: 'transpose' });
    T.dispose();
    expectSame(gram, times(transposed(dense), dense));
  });

  it('of a caller’s operator needs rmatmat', async () => {
    const one = customOperator({
      shape: [2, 1],
      dtype: 'float64',
      matmat: (v) => Float64Array.of(v[0]!, 2 * v[0]!),
    });
    await expect(one.T.matvec(new Float64Array(2))).rejects.toThrow('rmatmat');
    expect(await one.T.rmatvec(Float64Array.of(3))).toEqual(Float64Array.of(3, 6));
  });
});

it('numbers multiply and divide', () => {
  using gram = gramianSync(problem);
  const dense = matrixOf(gram);
  expectSame(
    gram.multiply(3),
    dense.map((row) => row.map((each) => 3 * each)),
  );
  expectSame(
    gram.divide(4),
    dense.map((row) => row.map((each) => each / 4)),
  );
  expect(() => gram.divide(1e-310)).toThrow('c should not be so small that 1 / c is infinite, got 1e-310');
  for (const c of [0, -0]) expect(() => gram.divide(c)).toThrow(RangeError);
  for (const c of [Number.NaN, Infinity]) {
    expect(() => gram.divide(c)).toThrow(RangeError);
    expect(() => gram.multiply(c)).toThrow(RangeError);
  }
  expect(() => gram.divide('2' as never)).toThrow(TypeError);
  expect(() => gram.multiply('2' as never)).toThrow(TypeError);
});

describe('submatrix', () => {
  const J = jacobianSync(problem);
  const dense = matrixOf(J);
  const gram = gramianSync(problem);
  const square = matrixOf(gram);
  const pick = (a: number[][], i: number[], j: number[]) =>
    i.map((row) => j.map((column) => a[row]![column]!));
  const indicesOf = (...names: string[]) =>
    model.parameters.flatMap(({ name, offset, length }) =>
      names.includes(name) ? Array.from({ length }, (_, i) => offset + i) : [],
    );

  it.each([[[3, 0, 7]], [[2, 3, 4]], [[5]], [[1, 1, 0]]])('by numbers %j', (list) => {
    expectSame(gram.submatrix(list), pick(square, list, list));
    expectSame(gram.submatrix(Int32Array.from(list)), pick(square, list, list));
    expectSame(J.submatrix(list, [2, 9]), pick(dense, list, [2, 9]));
  });

  it('by numbers and patterns', () => {
    const biases = indicesOf('0.bias', '2.bias');
    expectSame(J.submatrix([1, 6], ['*.bias']), pick(dense, [1, 6], biases));
    expectSame(J.submatrix(BigInt64Array.of(6n, 1n), ['*.bias']), pick(dense, [6, 1], biases));
    expectSame(gram.submatrix(['0.*'], [0]), pick(square, indicesOf('0.weight', '0.bias'), [0]));
    expectSame(J.T.submatrix(['2.bias'], [4]), transposed(pick(dense, [4], indicesOf('2.bias'))));
  });

  it('of submatrices', () => {
    using first = gram.submatrix(['0.*', '2.bias']);
    expectSame(
      first.submatrix(['*.bias']),
      pick(square, indicesOf('0.bias', '2.bias'), indicesOf('0.bias', '2.bias')),
    );
    expectSame(
      first.submatrix([0, 8]),
      pick(square, [0, indicesOf('2.bias')[0]!], [0, indicesOf('2.bias')[0]!]),
    );
    // Of the elements 5, 0 and 7: two weights, and the second bias.
    using part = gram.submatrix([5, 0, 7]);
    expectSame(part.submatrix(['0.weight']), pick(square, [5, 0], [5, 0]));
    expectSame(part.submatrix(['0.bias']).submatrix([0]), pick(square, [7], [7]));
    expect(() => part.submatrix(['2.*'])).toThrow(/no parameter matches '2\.\*'; there are 0\.weight/);
    using cut = J.submatrix(['0.*']);
    expectSame(
      cut.submatrix(['0.bias']),
      pick(
        dense,
        dense.map((_, i) => i),
        indicesOf('0.bias'),
      ),
    );
  });

  it('keeps symmetry where rows and columns are the same', () => {
    expect(gram.submatrix([3, 1]).symmetric).toBe(true);
    expect(gram.submatrix([3, 1], [1, 3]).symmetric).toBe(false);
  });

  it.each([
    ['a number beyond', () => gram.submatrix([P]), RangeError, `whole numbers from 0 to ${P - 1}, got ${P}`],
    ['a negative one', () => gram.submatrix([0, -1]), RangeError, 'got -1'],
    ['a fraction', () => gram.submatrix([0.5]), RangeError, 'got 0.5'],
    ['numbers and patterns in one list', () => gram.submatrix([0, '*'] as never), TypeError, 'not both'],
    [
      'patterns and numbers in one list',
      () => gram.submatrix(['*', 0] as never),
      TypeError,
      'a pattern should be',
    ],
    ['one list of a rectangle', () => J.submatrix([0]), RangeError, 'two lists'],
    ['patterns where nothing has a name', () => J.submatrix(['*'], [0]), RangeError, 'give their numbers'],
    [
      'no list',
      () => gram.submatrix(new Float32Array(2) as never),
      TypeError,
      'a selection should be a list',
    ],
    ['no list of columns', () => gram.submatrix([0], 1 as never), TypeError, 'a selection should be a list'],
  ] as const)('refuses %s', (_, call, kind, message) => {
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
  });

  it('of a matrix that is no model’s', () => {
    const a = denseOperator(tensor(Float64Array.of(1, 2, 3, 4, 5, 6), [2, 3]));
    expectSame(a.submatrix([1], [2, 0]), [[6, 4]]);
    expect(() => a.submatrix(['*'])).toThrow('by patterns is for operators over the parameters');
  });
});
