/** Which rows may be computed apart: files for a fixed batch, and models whose rows depend on one another. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  empiricalFisher,
  type FloatArray,
  fisher,
  gaussNewton,
  gramian,
  hessian,
  jacobian,
  type LinearOperator,
  linearize,
  lossAndGradient,
  Model,
  matvecDense,
  matvecOnTheFly,
  nn,
  ntk,
  type Problem,
  type Tensor,
} from '../../lib/index.ts';
import { dependentFiles, type Expected, FOLDER, modelFiles } from '../model/files/fixtures.ts';
import { someOf } from '../support/counts.ts';
import { apply, diagonalOf, type Matrix, matrix, times, transpose } from '../support/dense.ts';

function stored({ shape, data, dtype }: Expected['inputs'][number]): Tensor {
  return { shape, data: dtype === 'int64' ? BigInt64Array.from(data, BigInt) : Float64Array.from(data) };
}

function rows({ data, shape }: Tensor, begin: number, end: number): Tensor {
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  return { data: data.slice(begin * width, end * width), shape: [end - begin, ...shape.slice(1)] };
}

async function problemOf(file: string, expected: Expected): Promise<Problem & { x: Tensor }> {
  const model = await Model.load(join(FOLDER, file), { trusted: true });
  return { model, params: Float64Array.from(expected.params), x: stored(expected.inputs[0]!) };
}

/** What of a problem its streams share. */
const streamed = ({ model, params }: Problem) => ({ model, params });

function squares({ shape, data }: Expected['output']) {
  return {
    loss: 'mse',
    reduction: 'sum',
    target: { shape, data: Float64Array.from(data, (each, i) => each + Math.cos(i)) },
  } as const;
}

async function dense(op: LinearOperator): Promise<Matrix> {
  return { data: (await op.toDense()).data, shape: op.shape };
}

/** The largest difference, relative to the largest expected number, of which there may be very many. */
function differ(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(actual.length).toBe(expected.length);
  let [largest, apart] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    largest = Math.max(largest, Math.abs(expected[i]!));
    apart = Math.max(apart, Math.abs(actual[i]! - expected[i]!));
  }
  return apart === 0 ? 0 : apart / largest;
}

const close = (actual: ArrayLike<number>, expected: ArrayLike<number>) =>
  expect(differ(actual, expected)).toBeLessThan(1e-9);

describe.each(someOf(modelFiles().filter(({ file, expected }) => file.endsWith('.pt2') && expected.batch)))(
  'a file for a fixed batch: $file',
  ({ file, expected }) => {
    const batch = expected.batch!;
    const v = Float64Array.from(expected.v);

    /** J from PyTorch's batches, each whole. */
    async function reference({ model, params, x }: Problem & { x: Tensor }) {
      const parts = [];
      for (let begin = 0; begin < x.shape[0]!; begin += batch)
        parts.push(await dense(await jacobian({ model, params, x: rows(x, begin, begin + batch) })));
      const data = parts.flatMap((part) => [...part.data]);
      return matrix(data.length / v.length, v.length, (i, j) => data[i * v.length + j]!);
    }

    it('says so', async () => {
      const { model } = await problemOf(file, expected);
      expect(model.batchSize).toBe(batch);
    });

    it('gives exact products for twice the batch, whatever the chunks', async () => {
      const problem = await problemOf(file, expected);
      const j = await reference(problem);
      close(apply(transpose(j), apply(j, v)), expected.product);
      for (const chunkSize of [1, 2, batch, batch + 1, 2 * batch, 100]) {
        const options = { chunkSize };
        close((await problem.model.forward(problem.params, problem.x, options)).data, expected.output.data);
        close(await matvecOnTheFly(problem, v, options), expected.product);
        using lin = await linearize(problem, options);
        expect(lin.outputShape).toEqual(expected.output.shape);
        close(lin.output.data, expected.output.data);
        close((await lin.jvp(v)).data, apply(j, v));
        close(await lin.vjp(apply(j, v)), expected.product);
        close(await lin.matvec(v), expected.product);
      }
      for (const engine of ['auto', 'autograd'] as const)
        close(await matvecOnTheFly(problem, v, { engine }), expected.product);
      for (const strategy of ['gram', 'jacobian'] as const)
        close(await matvecDense(problem, v, { strategy, chunkSize: batch + 1 }), expected.product);
    });

    it('gives exact operators', async () => {
      const problem = await problemOf(file, expected);
      const j = await reference(problem);
      const gram = times(transpose(j), j);
      const op = await gramian(problem);
      close((await op.toDense()).data, gram.data);
      close(await op.diagonal(), diagonalOf(gram));
      close((await (await ntk(problem)).toDense()).data, times(j, transpose(j)).data);
      const n = problem.x.shape[0]!;
      const weights = Float64Array.from({ length: n }, (_, i) => 1 + (i % 3));
      const outputs = expected.output.data.length / n;
      const total = weights.reduce((a, b) => a + b, 0);
      const mean = (c: number, k: number) =>
        weights.reduce((sum, w, i) => sum + (w * j.data[(i * outputs + c) * v.length + k]!) / total, 0);
      const means = matrix(outputs, v.length, mean);
      const centered = matrix(n * outputs, v.length, (i, k) => {
        const root = Math.sqrt(weights[Math.floor(i / outputs)]!);
        return root * (j.data[i * v.length + k]! - means.data[(i % outputs) * v.length + k]!);
      });
      close(
        await (await gramian(problem, { weights, center: true })).matvec(v),
        apply(transpose(centered), apply(centered, v)),
      );
      const lossy = { ...problem, ...squares(expected.output) };
      close(
        await (await gaussNewton(lossy)).matvec(v),
        expected.product.map((each) => 2 * each),
      );
      const { gradient } = await lossAndGradient(lossy);
      const residual = Float64Array.from(expected.output.data, (_, i) => -2 * Math.cos(i));
      close(gradient, apply(transpose(j), residual));
      const h = (await hessian(lossy)).matvec(v);
      const parts: FloatArray[] = [];
      for (let begin = 0; begin < n; begin += batch) {
        const target = rows(lossy.target, begin, begin + batch);
        parts.push(
          await (await hessian({ ...lossy, x: rows(problem.x, begin, begin + batch), target })).matvec(v),
        );
      }
      close(
        await h,
        Float64Array.from(v, (_, i) => parts.reduce((sum, part) => sum + part[i]!, 0)),
      );
      const batches = Array.from({ length: n / batch }, (_, i) => ({
        x: rows(problem.x, i * batch, (i + 1) * batch),
      }));
      close(await matvecOnTheFly({ ...streamed(problem), batches }, v), expected.product);
    });

    it('refuses other numbers of rows, with the line that exports it for any', async () => {
      if (batch === 1) return;
      const { model, params, x } = await problemOf(file, expected);
      const problem = { model, params, x: rows(x, 0, batch + 1) };
      const refusal = {
        code: 'ERR_SHAPE_MISMATCH',
        message: expect.stringMatching(
          /torch\.export\.export\(model, \((\w+),\), dynamic_shapes=\{'\1': \{0: torch\.export\.Dim\('batch'\)\}\}\)/,
        ),
      };
      await expect(model.forward(params, problem.x)).rejects.toMatchObject(refusal);
      await expect(matvecOnTheFly(problem, v)).rejects.toMatchObject(refusal);
      await expect(matvecDense(problem, v)).rejects.toMatchObject(refusal);
      await expect(linearize(problem)).rejects.toMatchObject(refusal);
    });

    it('takes no rows', async () => {
      const { model, params, x } = await problemOf(file, expected);
      const none = { model, params, x: rows(x, 0, 0) };
      expect((await model.forward(params, none.x)).shape).toEqual([0, ...expected.output.shape.slice(1)]);
      close(
        await matvecOnTheFly(none, v),
        v.map(() => 0),
      );
      close(
        await matvecDense(none, v),
        v.map(() => 0),
      );
    });
  },
);

it('a file refuses other sizes than those it was exported for', async () => {
  const model = await Model.load(join(FOLDER, 'fixed-eight-attention.pt2'));
  const x = { data: new Float64Array(8 * 6 * 4), shape: [8, 6, 4] };
  await expect(model.forward(model.initialParameters!, x)).rejects.toMatchObject({
    code: 'ERR_SHAPE_MISMATCH',
    message: expect.stringMatching(/\[batch, 4, 6\], got \[8, 6, 4\]/),
  });
});

it.each(['mlp.pt2', 'mlp.pt'])('any number of rows goes with %s', async (file) => {
  expect((await Model.load(join(FOLDER, file), { trusted: true })).batchSize).toBeUndefined();
});

const REFUSED = { code: 'ERR_UNSUPPORTED_OP', message: expect.stringMatching(/rows.*depend on one another/) };

interface Dependent {
  problem: Problem & { x: Tensor };
  v: Float64Array;
  output: Expected['output'];
  /** JᵀJ v where it is known. */
  product?: readonly number[];
}

async function softmaxOf(batch: number): Promise<Dependent> {
  const model = Model.sequential([nn.linear(4, 3), nn.softmax(0)]);
  const x = { data: Float64Array.from({ length: batch * 4 }, (_, i) => Math.sin(3 * i)), shape: [batch, 4] };
  const params = model.init({ dtype: 'float64' });
  const v = params.map((_, i) => Math.cos(i));
  const { data, shape } = await model.forward(params, x);
  return { problem: { model, params, x }, v, output: { data: [...data], shape: [...shape] } };
}

async function ofFile(file: string, expected: Expected): Promise<Dependent> {
  const problem = await problemOf(file, expected);
  const { output, product, v } = expected;
  if (!expected.batch) return { problem, v: Float64Array.from(v), output, product };
  // The rows of one batch are computed together.
  const x = rows(problem.x, 0, expected.batch);
  const data = (await problem.model.forward(problem.params, x)).data;
  return {
    problem: { ...problem, x },
    v: Float64Array.from(v),
    output: { data: [...data], shape: [expected.batch, ...output.shape.slice(1)] },
  };
}

describe.each<[string, () => Promise<Dependent>]>([
  ...[2, 3, 8, 9, 64].map((batch) => [`softmax over ${batch} rows`, () => softmaxOf(batch)] as const),
  ...dependentFiles().map(({ file, expected }) => [file, () => ofFile(file, expected)] as const),
] as [string, () => Promise<Dependent>][])('rows that depend on one another: %s', (name, make) => {
  it('are computed together where nothing cuts them apart', async () => {
    const { problem, v, output, product } = await make();
    const { model, params, x } = problem;
    close((await model.forward(params, x)).data, output.data);
    const j = await dense(await jacobian(problem));
    const expected = apply(transpose(j), apply(j, v));
    if (product !== undefined) close(expected, product);
    close(await matvecOnTheFly(problem, v), expected);
    close(await matvecOnTheFly(problem, v, { chunkSize: x.shape[0]! }), expected);
    using lin = await linearize(problem);
    close(await lin.matvec(v), expected);
    close(await lin.vjp((await lin.jvp(v)).data), expected);
    close(await (await gramian(problem)).matvec(v), expected);
    using kernel = await ntk(problem);
    const u = Float64Array.from(output.data, (_, i) => Math.sin(i));
    close(await kernel.matvec(u), apply(j, apply(transpose(j), u)));
    close((await kernel.toDense()).data, times(j, transpose(j)).data);
    const lossy = { ...problem, ...squares(output) };
    close(
      await (await gaussNewton(lossy)).matvec(v),
      expected.map((each) => 2 * each),
    );
    const { gradient } = await lossAndGradient(lossy);
    close(
      gradient,
      apply(
        transpose(j),
        Float64Array.from(output.data, (_, i) => -2 * Math.cos(i)),
      ),
    );
    if (name.startsWith('rows-derivatives')) return; // its values do not have its derivatives
    const step = 1e-5;
    const at = async (t: number) => {
      const moved = (params as Float64Array).map((each, i) => each + t * v[i]!);
      return (await lossAndGradient({ ...lossy, params: moved })).gradient;
    };
    const [after, before] = [await at(step), await at(-step)];
    const slope = Array.from(after, (each, i) => (each - before[i]!) / (2 * step));
    expect(differ(await (await hessian(lossy)).matvec(v), slope)).toBeLessThan(1e-6);
  });

  it('are refused where they would be cut apart', async () => {
    const { problem, v, output } = await make();
    const { model, params, x } = problem;
    const lossy = { ...problem, ...squares(output) };
    const n = x.shape[0]!;
    const half = Math.floor(n / 2);
    const batches = [rows(x, 0, half), rows(x, half, n)].map((part, i) => ({
      x: part,
      target: rows(lossy.target, i * half, i === 0 ? half : n),
    }));
    const cut: (() => Promise<unknown>)[] = [
      () => matvecDense(problem, v),
      () => matvecDense(problem, v, { strategy: 'jacobian' }),
      async () => (await gramian(problem)).diagonal(),
      async () => (await gaussNewton(lossy)).diagonal(),
      () => empiricalFisher(lossy),
      () => fisher(lossy),
    ];
    if (model.batchSize === undefined) {
      for (const chunkSize of [1, half]) {
        cut.push(
          () => matvecOnTheFly(problem, v, { chunkSize }),
          () => model.forward(params, x, { chunkSize }),
          () => linearize(problem, { chunkSize }),
          () => gramian(problem, { chunkSize }),
          () => gaussNewton(lossy, { chunkSize }),
          () => hessian(lossy, { chunkSize }),
          () => lossAndGradient(lossy, { chunkSize }),
        );
      }
      if (n > 2) {
        cut.push(
          () => linearize(problem, { memoryBudget: 1 }),
          () => hessian(lossy, { memoryBudget: 1 }),
          () => matvecOnTheFly({ ...streamed(problem), batches }, v),
          async () => (await gramian({ ...streamed(problem), batches })).matvec(v),
        );
      }
    }
    // Outputs for each other row: those of a batch do not have the shape of the target.
    if (model.batchSize === undefined && n > 2 && !name.startsWith('rows-pairs')) {
      cut.push(
        async () => (await gaussNewton({ ...streamed(lossy), loss: 'mse', batches })).matvec(v),
        () => lossAndGradient({ ...streamed(lossy), loss: 'mse', batches }),
      );
    }
    for (const each of cut) await expect(each(), String(each)).rejects.toMatchObject(REFUSED);
  });

  it('are no matter for a single row', async () => {
    const { problem, v, output } = await make();
    if (problem.model.batchSize !== undefined) return;
    const one = { ...problem, x: rows(problem.x, 0, 1) };
    const { data, shape } = await one.model.forward(one.params, one.x, { chunkSize: 1 });
    const lossy = { ...one, ...squares({ data: [...data], shape: [...shape] }) };
    const product = await matvecOnTheFly(one, v);
    const scale = Math.max(...product.map(Math.abs), ...output.data.map(Math.abs)) * 1e-12;
    const dense = await matvecDense(one, v);
    for (const [i, each] of dense.entries()) expect(Math.abs(each - product[i]!)).toBeLessThanOrEqual(scale);
    await (await gramian(one)).diagonal();
    await (await empiricalFisher(lossy)).matvec(v);
  });
});

it('more rows than a file was exported for are cut apart', async () => {
  const { file, expected } = dependentFiles().find((each) => each.file === 'baked-batch.pt2')!;
  const problem = await problemOf(file, expected);
  const v = Float64Array.from(expected.v);
  await expect(matvecOnTheFly(problem, v)).rejects.toMatchObject(REFUSED);
  await expect(linearize(problem)).rejects.toMatchObject(REFUSED);
  await expect(problem.model.forward(problem.params, problem.x)).rejects.toMatchObject(REFUSED);
});

describe('independent rows are not refused', () => {
  const wide = 40;
  const data = (length: number, at: (i: number) => number) => Float64Array.from({ length }, (_, i) => at(i));
  it.each(someOf(modelFiles()))('$file', async ({ file, expected }) => {
    const { model, params, x } = await problemOf(file, expected);
    if (expected.inputs.length > 1) return;
    const repeated = Array.from({ length: 4 }, () => [...(x.data as Float64Array)]).flat() as never[];
    const many = {
      ...x,
      data: (x.data.constructor as typeof Float64Array).from(repeated),
      shape: [4 * x.shape[0]!, ...x.shape.slice(1)],
    };
    const v = Float64Array.from(expected.v);
    const product = await matvecOnTheFly({ model, params, x: many }, v, { chunkSize: 3 });
    close(
      product,
      expected.product.map((each) => 4 * each),
    );
    close(await matvecDense({ model, params, x: many }, v), product);
  });

  it.each<[string, Float64Array]>([
    ['rows that are all the same', data(wide * 4, (i) => i % 4)],
    ['rows of zeros', new Float64Array(wide * 4)],
    [
      'rows that are not finite',
      data(wide * 4, (i) => [Number.NaN, 1, Number.POSITIVE_INFINITY, i][(i % 7) % 4]!),
    ],
    ['rows of very different sizes', data(wide * 4, (i) => (i - 70) * 10 ** ((i % 41) - 20))],
  ])('%s', async (_name, values) => {
    const model = Model.sequential([
      nn.linear(4, 6),
      nn.layerNorm([6]),
      nn.relu(),
      nn.residual([nn.softmax(1), nn.linear(6, 6)]),
      nn.unsqueeze(1),
      nn.groupNorm(1, 1),
      nn.flatten(),
    ]);
    const problem = {
      model,
      params: model.init({ dtype: 'float64' }),
      x: { data: values, shape: [wide, 4] },
    };
    const v = problem.params.map((_, i) => Math.sin(i));
    await matvecOnTheFly(problem, v, { chunkSize: 7 });
    await matvecDense(problem, v, { engine: 'autograd' });
    await (await gramian(problem)).diagonal();
  });

  it.each<[string, Float64Array]>([
    ['all the same', data(wide * 4, (i) => i % 4)],
    ['zeros', new Float64Array(wide * 4)],
  ])('but dependent ones are, also where they are %s', async (_name, values) => {
    const model = Model.sequential([nn.linear(4, 3), nn.softmax(0)]);
    const problem = {
      model,
      params: model.init({ dtype: 'float64' }),
      x: { data: values, shape: [wide, 4] },
    };
    await expect(matvecDense(problem, problem.params)).rejects.toMatchObject(REFUSED);
  });
});

describe('an output without an axis for the batch', () => {
  const files = readdirSync(FOLDER).filter((name) => name.startsWith('without-rows-'));
  it.each(files)('%s', async (file) => {
    const model = await Model.load(join(FOLDER, file), { trusted: true });
    const params = model.initialParameters!;
    const x = { data: Float64Array.from({ length: 15 }, (_, i) => Math.sin(i)), shape: [5, 3] };
    const problem = { model, params, x };
    const lossy = { ...problem, loss: 'mse', target: { data: new Float64Array(5), shape: [5] } } as const;
    const refusal = {
      code: 'ERR_SHAPE_MISMATCH',
      message: expect.stringMatching(/first axis of the model's output should be the batch/),
    };
    for (const product of [
      () => model.forward(params, x),
      () => model.forward(params, x, { chunkSize: 2 }),
      () => matvecOnTheFly(problem, params),
      () => matvecOnTheFly(problem, params, { chunkSize: 2 }),
      () => matvecDense(problem, params),
      () => linearize(problem),
      () => jacobian(problem),
      () => gaussNewton(lossy),
      () => hessian(lossy),
      () => lossAndGradient(lossy),
      () => empiricalFisher(lossy),
    ])
      await expect(product(), String(product)).rejects.toMatchObject(refusal);
  });
});

it('a file is not run when it is loaded', async () => {
  // One row's matrix of zeros could not be inverted.
  const expected = JSON.parse(readFileSync(join(FOLDER, 'whitened.json'), 'utf8')) as Expected;
  const problem = await problemOf('whitened.pt2', expected);
  const v = Float64Array.from(expected.v);
  close((await problem.model.forward(problem.params, problem.x)).data, expected.output.data);
  close(await matvecOnTheFly(problem, v), expected.product);
  close(await matvecDense(problem, v), expected.product);
  using lin = await linearize(problem);
  close(await lin.matvec(v), expected.product);
});
