/** The scale of the Fisher family: `gaussNewton`, `fisher` and `empiricalFisher` are one matrix in expectation. */
import { describe, expect, it } from 'vitest';
import {
  type EmpiricalFisherOptions,
  empiricalFisher,
  empiricalFisherSync,
  fisherSync,
  gaussNewtonSync,
  hessianSync,
  type LossProblem,
  lossAndGradient,
  lossAndGradientSync,
  type Tensor,
} from '../../lib/index.ts';
import { someOf } from '../support/counts.ts';
import { dot, FISHER_CASES, type FisherCase, modelOf, relativeError, tensorOf } from '../support/models.ts';

const IGNORED = -100;

function problemOf(each: FisherCase): LossProblem & { x: Tensor; target: Tensor } {
  return {
    model: modelOf(each),
    params: Float64Array.from(each.params),
    x: tensorOf(each.x),
    target: tensorOf(each.target),
    loss: each.loss,
  };
}

const named = FISHER_CASES.map((each) => [`${each.name}, ${each.loss}`, each] as const);

describe.each(someOf(named, 5))('%s', (_, each: FisherCase) => {
  const problem = problemOf(each);
  const weights = Float64Array.from(each.weights);

  it.each(
    each.matrices.map((matrix) => {
      const { per, weighted, center, reduction } = matrix;
      return [
        `per ${per}, ${weighted ? 'weighted, ' : ''}${center ? 'centered, ' : ''}${reduction}`,
        matrix,
      ] as const;
    }),
  )("is PyTorch's, %s", (_, { per, weighted, center, reduction, matrix }) => {
    const options: EmpiricalFisherOptions = { per, center, ...(weighted && { weights }) };
    for (const how of [
      {},
      { chunkSize: 1 },
      { chunkSize: 2, memoryBudget: 1 },
      { engine: 'autograd' },
    ] as const) {
      using op = empiricalFisherSync({ ...problem, reduction }, { ...options, ...how });
      expect(relativeError(op.toDenseSync().data, matrix)).toBeLessThan(1e-12);
      const diagonal = matrix.filter((_, i) => i % (op.shape[0] + 1) === 0);
      expect(relativeError(op.diagonalSync(), diagonal)).toBeLessThan(1e-12);
    }
  });

  it('is of data unless told otherwise', async () => {
    using op = await empiricalFisher(problem);
    using same = empiricalFisherSync(problem, { per: 'datum' });
    expect(await op.toDense()).toEqual(same.toDenseSync());
  });

  // Summed over all targets that the model may draw, weighted by their probabilities.
  it.each(['datum', 'row'] as const)(
    'averages to gaussNewton over the targets of the model, per %s',
    (per) => {
      const problem = fewRows(each);
      const options = { weights: weights.slice(0, problem.x.shape[0]!), threads: 1 };
      for (const reduction of ['mean', 'sum'] as const) {
        using limit = gaussNewtonSync({ ...problem, reduction }, options);
        const expected = limit.toDenseSync().data;
        const average = new Float64Array(expected.length);
        for (const [probability, target] of targetsOf(each, problem)) {
          using op = empiricalFisherSync({ ...problem, reduction, target }, { ...options, per });
          op.toDenseSync().data.forEach((value, i) => {
            average[i]! += probability * value;
          });
        }
        expect(relativeError(average, expected)).toBeLessThan(1e-12);
      }
    },
  );

  it.each(['datum', 'row'] as const)('fisher tends to gaussNewton, per %s', (per) => {
    for (const reduction of ['mean', 'sum'] as const) {
      const options = { weights };
      using limit = gaussNewtonSync({ ...problem, reduction }, options);
      using op = fisherSync(
        { ...problem, reduction },
        { ...options, per, threads: 1, mcSamples: 1000, seed: 2 },
      );
      // A draw deviates by about √2 of the matrix, or by a few times that where rows have many data; 1/√1000 is 0.03.
      expect(relativeError(op.toDenseSync().data, limit.toDenseSync().data)).toBeLessThan(0.15);
    }
  });

  it('fisher of more draws goes on where that of fewer ends', () => {
    const v = Float64Array.from(each.params, (_, i) => Math.cos(i + 1));
    const of = (mcSamples: number) => {
      using op = fisherSync(problem, { mcSamples, seed: 9 });
      return op.matvecSync(v);
    };
    const [one, two] = [of(1), of(2)];
    // The second draw alone is of the same kind: positive along v.
    const second = two.map((value, i) => 2 * value - one[i]!);
    expect(dot(second, v)).toBeGreaterThan(0);
    expect(relativeError(second, one)).toBeGreaterThan(1e-3);
  });
});

/**
 * Every target that the model may draw for these rows, with its probability. Of mse, whose likelihood is a Gaussian of
 * variance ½, the nodes of Gauss–Hermite quadrature, y ± √½, which are exact for products of two gradients.
 */
function* targetsOf({ loss }: FisherCase, { model, params, x, target }: LossProblem & { target: Tensor }) {
  const y = model.forwardSync(params, x);
  const classes = loss === 'cross_entropy' ? y.shape[1]! : 2;
  const inner = y.shape.slice(2).reduce((product, size) => product * size, 1);
  const positions = [...target.data].flatMap((each, i) => (Number(each) === IGNORED ? [] : [i]));
  const distributions = positions.map((position) => {
    if (loss === 'mse') return [0.5, 0.5];
    if (loss === 'bce_with_logits') return softmax([0, y.data[position]!]);
    const [row, place] = [Math.floor(position / inner), position % inner];
    return softmax(Array.from({ length: classes }, (_, c) => y.data[(row * classes + c) * inner + place]!));
  });
  for (let number = 0; number < classes ** positions.length; number++) {
    const data = target.data.slice();
    let probability = 1;
    positions.forEach((position, i) => {
      const drawn = Math.floor(number / classes ** i) % classes;
      probability *= distributions[i]![drawn]!;
      data[position] = loss === 'mse' ? y.data[position]! + (2 * drawn - 1) * Math.SQRT1_2 : drawn;
    });
    yield [probability, { data, shape: target.shape }] as const;
  }
}

function softmax(logits: number[]): number[] {
  const sizes = logits.map((each) => Math.exp(each - Math.max(...logits)));
  const total = sizes.reduce((sum, each) => sum + each, 0);
  return sizes.map((each) => each / total);
}

/** As many of the first rows as have few enough targets to go through all. */
function fewRows(each: FisherCase): LossProblem & { x: Tensor; target: Tensor } {
  const problem = problemOf(each);
  const { loss, target } = problem;
  const draws = (n: number) => {
    const size = target.data.length / target.shape[0]!;
    return [...target.data.slice(0, n * size)].filter((value) => Number(value) !== IGNORED).length;
  };
  let rows = 1;
  while (rows < each.x.shape[0]! && (loss === 'cross_entropy' ? 3 : 2) ** draws(rows + 1) <= 100) rows += 1;
  const cut = ({ data, shape }: Tensor): Tensor => ({
    data: data.slice(0, (data.length / shape[0]!) * rows),
    shape: [rows, ...shape.slice(1)],
  });
  return { ...problem, x: cut(problem.x), target: cut(target) };
}

describe('targets that are all ignored', () => {
  const each = FISHER_CASES.find(({ name }) => name === 'pixels, some ignored')!;
  const target = { data: new Int32Array(each.target.data.length).fill(IGNORED), shape: each.target.shape };
  const problem = { ...problemOf(each), target };

  it('have a loss of NaN as PyTorch says, and derivatives of 0', async () => {
    for (const options of [{}, { chunkSize: 1 }]) {
      const mean = lossAndGradientSync(problem, options);
      expect(mean.loss).toBeNaN();
      expect(mean.gradient.every((value) => value === 0)).toBe(true);
      const sum = await lossAndGradient({ ...problem, reduction: 'sum' }, options);
      expect(sum.loss).toBe(0);
      expect(sum.gradient.every((value) => value === 0)).toBe(true);
    }
  });

  it.each(['mean', 'sum'] as const)('have matrices of zeros: %s', (reduction) => {
    for (const make of [hessianSync, gaussNewtonSync, empiricalFisherSync, fisherSync]) {
      for (const options of [
        {},
        ...(make === empiricalFisherSync || make === fisherSync ? [{ center: true }] : []),
      ]) {
        using op = make({ ...problem, reduction }, options);
        expect(op.toDenseSync().data.every((value) => value === 0)).toBe(true);
      }
    }
  });
});

it('ignored targets draw nothing: the others are what they are without them', () => {
  const each = FISHER_CASES.find(({ name }) => name === 'classes')!;
  const whole = problemOf(each);
  const target = { data: Int32Array.from(each.target.data), shape: each.target.shape };
  target.data[5] = IGNORED;
  const fewer = {
    ...whole,
    x: { data: (whole.x.data as Float64Array).slice(0, 10), shape: [5, 2] },
    target: { data: target.data.slice(0, 5), shape: [5] },
  };
  for (const make of [fisherSync, empiricalFisherSync]) {
    using a = make({ ...whole, target });
    using b = make(fewer);
    expect(relativeError(a.toDenseSync().data, b.toDenseSync().data)).toBeLessThan(1e-14);
  }
});

it('firstRow is a number of a row', () => {
  expect(() => fisherSync(problemOf(FISHER_CASES[0]!), { firstRow: -1 })).toThrow(
    'firstRow should be a whole number of at least 0',
  );
});

it.each([['data'], [1], [null]])('per: %j is refused', (per) => {
  const problem = problemOf(FISHER_CASES[0]!);
  const expected = expect.objectContaining({
    code: 'ERR_INVALID_ARGUMENT',
    message: expect.stringMatching(/per .*'row'/),
  });
  expect(() => empiricalFisherSync(problem, { per: per as never })).toThrow(expected);
  expect(() => fisherSync(problem, { per: per as never })).toThrow(expected);
});
