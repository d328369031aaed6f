/** Kronecker factors against PyTorch's (written by scripts/reference/kfac.py): layer lists and graphs, batches and streams. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  cgSync,
  ekfac,
  ekfacSync,
  type FloatArray,
  gaussNewtonSync,
  type KfacOptions,
  type KroneckerOperator,
  kfac,
  kfacSync,
  type LossProblem,
  Model,
  nn,
  type Tensor,
} from '../../lib/index.ts';
import { someOf } from '../support/counts.ts';
import { type FisherCase, modelOf, relativeError, tensorOf } from '../support/models.ts';

interface Setting {
  fisher: 'type2' | 'empirical';
  approximation: 'expand' | 'reduce';
  weighted: boolean;
  kfac: number[];
  ekfac: number[];
  /** Whether `ekfac` is the same for any choice of the factors' eigenvectors. */
  unique: boolean;
  exact: number[];
  heuristic: number[];
  pi: number[];
  trace: number;
  frobeniusNorm: number;
  logdet: number;
}

interface KfacCase extends Omit<FisherCase, 'layers' | 'matrices'> {
  layers: FisherCase['layers'] | null;
  files: string[];
  others: 'refuse' | 'diagonal' | 'block';
  damping: number;
  settings: Setting[];
}

const FOLDER = new URL('../fixtures/kfac/', import.meta.url);
const CASES: KfacCase[] = JSON.parse(readFileSync(new URL('kfac.json', FOLDER), 'utf8'));

const load = (file: string) => Model.load(fileURLToPath(new URL(file, FOLDER)));

/** The case's models, all of which are the same: of its layers, and of its files. */
async function modelsOf({ layers, files }: KfacCase): Promise<Model[]> {
  const loaded = await Promise.all(files.map(load));
  return layers === null ? loaded : [modelOf({ layers }), ...loaded];
}

function problemOf(each: KfacCase, model: Model): LossProblem<Float64Array> & { x: Tensor; target: Tensor } {
  const x = tensorOf(each.x);
  // Files take integers of 64 bits.
  const wide = each.layers === null && each.x.integer === true;
  const data = wide ? BigInt64Array.from(each.x.data, BigInt) : x.data;
  return {
    model,
    params: Float64Array.from(each.params),
    x: { data, shape: x.shape },
    target: tensorOf(each.target),
    loss: each.loss,
  };
}

/** Rows [begin, end) of a tensor. */
function rows({ data, shape }: Tensor, begin: number, end: number): Tensor {
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  return { data: data.slice(begin * width, end * width), shape: [end - begin, ...shape.slice(1)] };
}

const probe = (length: number) => Float64Array.from({ length }, (_, i) => Math.sin(i + 1));

const named = CASES.flatMap((each) =>
  each.settings.map((setting) => {
    const { fisher, approximation, weighted } = setting;
    const name = `${each.name} (${each.others}), ${fisher}, ${approximation}${weighted ? ', weighted' : ''}`;
    return [name, each, setting] as const;
  }),
);

describe.each(someOf(named, 5))('%s', (_, each, setting) => {
  const { fisher, approximation, weighted } = setting;
  const weights = Float64Array.from(each.weights);
  const options: KfacOptions = {
    fisher,
    approximation,
    others: each.others,
    ...(weighted && { weights }),
  };
  const { damping } = each;
  const closeTo = (found: ArrayLike<number>, expected: ArrayLike<number>) =>
    expect(relativeError(found, expected)).toBeLessThan(1e-9);

  it('is what PyTorch finds, however its rows are cut', async () => {
    for (const model of await modelsOf(each)) {
      const problem = problemOf(each, model);
      const v = probe(model.parameterCount);
      for (const how of [{}, { chunkSize: 1 }, { chunkSize: 2 }]) {
        using factors = kfacSync(problem, { ...options, ...how });
        closeTo(factors.matvecSync(v), setting.kfac);
        using eigen = ekfacSync(problem, { ...options, ...how });
        if (setting.unique) closeTo(eigen.matvecSync(v), setting.ekfac);
      }
    }
  });

  it('has the numbers and the inverses of the dense matrix', async () => {
    const [model] = await modelsOf(each);
    using op = await kfac(problemOf(each, model!), options);
    closeTo([await op.trace()], [setting.trace]);
    closeTo([await op.frobeniusNorm()], [setting.frobeniusNorm]);
    closeTo([await op.logdet({ damping })], [setting.logdet]);
    const v = probe(model!.parameterCount);
    for (const method of ['exact', 'heuristic', 'pi'] as const) {
      using inverse = await op.inverse({ damping, method });
      closeTo(await inverse.matvec(v), setting[method]);
    }
  });

  it('is the same of a stream of batches', async () => {
    const [model] = await modelsOf(each);
    const { x, target, ...rest } = problemOf(each, model!);
    const count = x.shape[0]!;
    const cuts = [0, 1, 3, count];
    const batches = cuts.slice(1).map((end, i) => {
      const begin = cuts[i]!;
      return {
        x: rows(x, begin, end),
        target: rows(target, begin, end),
        ...(weighted && { weights: weights.slice(begin, end) }),
      };
    });
    const { weights: _, ...whole } = options;
    const v = probe(model!.parameterCount);
    using factors = await kfac({ ...rest, batches }, whole);
    closeTo(await factors.matvec(v), setting.kfac);
    using inverse = await factors.inverse({ damping, method: 'pi' });
    closeTo(await inverse.matvec(v), setting.pi);
    using eigen = await ekfac({ ...rest, batches }, whole);
    if (setting.unique) closeTo(await eigen.matvec(v), setting.ekfac);
    else closeTo([await eigen.trace()], [ekfacSync(problemOf(each, model!), options).traceSync()]);
  });
});

/** The laws of a symmetric matrix and of what is made of it. */
function checkLaws(op: KroneckerOperator<Float64Array>) {
  const n = op.shape[0];
  const { data: dense } = op.toDenseSync();
  const at = (i: number, j: number) => dense[i * n + j]!;
  const { eigenvalues, eigenvectors } = op.eighSync();
  expect(
    relativeError(
      op.diagonalSync(),
      Array.from({ length: n }, (_, i) => at(i, i)),
    ),
  ).toBeLessThan(1e-12);
  expect(op.traceSync()).toBeCloseTo(
    eigenvalues.reduce((sum, each) => sum + each, 0),
    10,
  );
  expect(op.frobeniusNormSync()).toBeCloseTo(Math.hypot(...dense), 10);
  expect(eigenvalues).toEqual(eigenvalues.toSorted());
  // K Q = Q Λ and QᵀQ = I
  const q = eigenvectors.toDenseSync().data;
  const scaled = q.map((each, place) => each * eigenvalues[place % n]!);
  expect(relativeError(op.multiply(eigenvectors).toDenseSync().data, scaled)).toBeLessThan(1e-10);
  const identity = probe(n * n).map((_, place) => Number(place % (n + 1) === 0));
  expect(relativeError(eigenvectors.T.multiply(eigenvectors).toDenseSync().data, identity)).toBeLessThan(
    1e-12,
  );
  // (K + λI)⁻¹ (K + λI) = I
  const inverse = op.inverseSync({ damping: 0.1 });
  expect(relativeError(inverse.multiply(op.damp(0.1)).toDenseSync().data, identity)).toBeLessThan(1e-9);
  expect(inverse.logdetSync()).toBeCloseTo(-op.logdetSync({ damping: 0.1 }), 9);
  const logarithms = eigenvalues.map((each) => Math.log(each + 0.1));
  expect(op.logdetSync({ damping: 0.1 })).toBeCloseTo(
    logarithms.reduce((sum, each) => sum + each, 0),
    9,
  );
}

describe.each(CASES.map((each) => [each.name, each] as const))('%s', (_, each) => {
  it('keeps the laws of a symmetric matrix', async () => {
    const [model] = await modelsOf(each);
    const problem = problemOf(each, model!);
    for (const make of [kfacSync, ekfacSync])
      checkLaws(make(problem, { others: each.others }) as KroneckerOperator<Float64Array>);
  });

  it('is nearest the Gauss–Newton matrix with the eigenvalues of ekfac', async () => {
    const [model] = await modelsOf(each);
    const problem = problemOf(each, model!);
    const whole = gaussNewtonSync(problem).toDenseSync().data;
    for (const approximation of ['expand', 'reduce'] as const) {
      const options = { others: each.others, approximation };
      const distance = (op: KroneckerOperator) => {
        const dense = op.toDenseSync().data;
        return Math.hypot(...whole.map((value, i) => value - dense[i]!));
      };
      const [factors, eigen] = [kfacSync(problem, options), ekfacSync(problem, options)];
      expect(distance(eigen)).toBeLessThanOrEqual(distance(factors) * (1 + 1e-12));
      // Rotations keep the trace, which is that of the blocks.
      const trace = whole.filter((_, i) => i % (eigen.shape[0] + 1) === 0).reduce((sum, d) => sum + d, 0);
      expect(eigen.traceSync()).toBeCloseTo(trace, 10);
    }
  });

  it('preconditions cg', async () => {
    const [model] = await modelsOf(each);
    const problem = problemOf(each, model!);
    const matrix = gaussNewtonSync(problem).damp(1e-3);
    const b = probe(model!.parameterCount);
    const preconditioner = kfacSync(problem, { others: each.others }).inverseSync({ damping: 1e-3 });
    const { converged, x } = cgSync(matrix, b, { preconditioner, tolerance: 1e-10 });
    expect(converged).toBe(true);
    expect(relativeError(matrix.matvecSync(x), b)).toBeLessThan(1e-9);
  });
});

describe('one linear layer, of which the factors make the Gauss–Newton matrix', () => {
  const layer = (outputs: number) => Model.sequential([nn.linear(1, outputs)]);
  const diagonals = (problem: LossProblem<FloatArray>, options: object = {}) =>
    [gaussNewtonSync(problem, options), kfacSync(problem, options), ekfacSync(problem, options)].map((op) => [
      ...op.diagonalSync(),
    ]);
  const losses = (F: Float32ArrayConstructor | Float64ArrayConstructor) => [
    { name: 'gaussian_nll', variance: F.of(1e-4, 1e4) } as const,
    { name: 'bce_with_logits', weight: F.of(1e5, 1e-4) } as const,
  ];

  it.each([Float32Array, Float64Array])('keeps small terms of the loss beside large ones, %o', (F) => {
    for (const loss of losses(F)) {
      const x = { data: F.of(1, 2, 3), shape: [3, 1] };
      const target = { data: new F(6), shape: [3, 2] };
      const problem = {
        model: layer(2),
        params: new F(4),
        x,
        target,
        loss,
        reduction: 'sum' as const,
      };
      const [expected, ...factored] = diagonals(problem);
      for (const diagonal of factored)
        for (const [i, value] of diagonal.entries())
          expect(Math.abs(value / expected![i]! - 1)).toBeLessThan(1e-5);
    }
  });

  it('does not depend on the rows beside a row', () => {
    const model = Model.sequential([nn.linear(1, 1), nn.softplus()]);
    const x = { data: Float64Array.of(0, 36), shape: [2, 1] };
    const target = { data: Float64Array.of(1, 1), shape: [2, 1] };
    const loss = { name: 'poisson_nll', logInput: false, eps: 0 } as const;
    const problem = { model, params: Float64Array.of(-1, 0), x, target, loss };
    const trace = (diagonal: number[]) => diagonal.reduce((sum, each) => sum + each, 0);
    const [exact, factors, eigen] = diagonals(problem);
    const apart = diagonals(problem, { chunkSize: 1 });
    expect(relativeError(apart[1]!, factors!)).toBeLessThan(1e-12);
    for (const each of [eigen!, apart[2]!])
      expect(Math.abs(trace(each) / trace(exact!) - 1)).toBeLessThan(1e-12);
  });

  it('adds up many rows in float32', () => {
    const rows = 200_000;
    const data = Float32Array.from({ length: rows }, (_, i) => 1 + 0.01 * Math.sin(i));
    const x = { data, shape: [rows, 1] };
    const target = { data: new Float32Array(rows), shape: [rows, 1] };
    const problem = { model: layer(1), params: Float32Array.of(1, 0.1), x, target, loss: 'mse' as const };
    const exact = (2 / rows) * data.reduce((sum, each) => sum + each * each, 0);
    for (const [first] of diagonals(problem)) expect(Math.abs(first! / exact - 1)).toBeLessThan(1e-5);
  });
});
