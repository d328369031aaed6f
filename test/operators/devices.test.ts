/** Operators, losses and bad input on every device: the same numbers and the same errors. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  bind,
  cg,
  eigsh,
  empiricalFisher,
  fisher,
  gaussNewton,
  gramian,
  hessian,
  info,
  jacobian,
  kfac,
  type LinearOperator,
  type LossProblem,
  lossAndGradient,
  Model,
  matvecOnTheFly,
  nn,
  ntk,
  type OperatorOptions,
  perSample,
  tensor,
} from '../../lib/index.ts';
// @ts-expect-error a script of the repository, without types
import { decode } from '../../scripts/zoo/compare.mjs';
import { lossProblemOf, PROGRAMS } from '../support/loss-cases.ts';
import { LOSS_CASES, relativeError, vector } from '../support/models.ts';

const absent = info().cudaDevices.length === 0;

type Factory = (
  problem: LossProblem<Float64Array>,
  options: OperatorOptions,
) => Promise<LinearOperator<Float64Array>>;
const FACTORIES: Record<string, Factory> = {
  ...{ gramian, jacobian, ntk, gaussNewton, hessian, empiricalFisher },
};

/** Numbers of every kind for a problem on a device. */
const NUMBERS: Record<
  string,
  (problem: LossProblem<Float64Array>, how: OperatorOptions) => Promise<Float64Array>
> = {
  lossAndGradient: async (problem, how) => (await lossAndGradient(problem, how)).gradient,
  'lossAndGradient in chunks': async (problem, how) =>
    (await lossAndGradient(problem, { ...how, chunkSize: 2 })).gradient,
  perSample: async (problem, how) => {
    const parts: number[] = [];
    for await (const { losses, gradients } of perSample(problem, { ...how, chunkSize: 2 }))
      parts.push(...losses, ...gradients.data);
    return Float64Array.from(parts);
  },
  ...Object.fromEntries(
    Object.entries(FACTORIES).flatMap(([name, make]) => [
      [
        name,
        async (problem: LossProblem<Float64Array>, how: OperatorOptions) => {
          using op = await make(problem, how);
          return op.matmat(vector(2 * op.shape[1], 1), 2);
        },
      ],
      [
        `${name} in chunks`,
        async (problem: LossProblem<Float64Array>, how: OperatorOptions) => {
          using op = await make(problem, { ...how, chunkSize: 2 });
          return op.matvec(vector(op.shape[1], 2));
        },
      ],
    ]),
  ),
  'a diagonal': async (problem, how) => {
    using op = await gaussNewton(problem, how);
    return op.diagonal();
  },
  'a solution': async (problem, how) => {
    using op = await gramian(problem, how);
    using damped = op.damp(0.5);
    return (await cg(damped, vector(op.shape[0], 3), { tolerance: 1e-13 })).x;
  },
  'largest eigenvalues': async (problem, how) => {
    using op = await gramian(problem, how);
    return (await eigsh(op, { k: 2, tolerance: 1e-12 })).eigenvalues;
  },
  'data that are kept there': async (problem, how) => {
    const { params, ...rest } = problem;
    using bound = await bind(rest, { device: how.device! });
    using op = await gaussNewton(bound.at(params), how);
    return op.matvec(vector(op.shape[1], 4));
  },
};

/** A model of tokens, each below 5. */
const tokens = Model.sequential([nn.embedding(5, 3), nn.flatten(), nn.linear(6, 2)]);
const params = tokens.init({ seed: 0, dtype: 'float64' });
const of = (...numbers: number[]) => tensor(BigInt64Array.from(numbers, BigInt), [numbers.length / 2, 2]);

// The CPU takes the same tests, so that they are known to hold where there is no GPU to run them on.
describe.each(['cpu', 'cuda'])('on %s', (device) => {
  const reason = device === 'cuda' && absent ? ' (skipped: no CUDA device)' : '';

  describe.skipIf(reason !== '')(`numbers${reason}`, () => {
    it.each(LOSS_CASES.map((each, i) => [`${i}, ${each.loss.name}`, each] as const))(
      'of loss %s are those of autograd on the CPU',
      { timeout: 60_000 },
      async (_, each) => {
        const problem = lossProblemOf(each) as LossProblem<Float64Array>;
        for (const [name, numbers] of Object.entries(NUMBERS)) {
          const expected = await numbers(problem, { device: 'cpu', engine: 'autograd' });
          const found = await numbers(problem, { device });
          expect(relativeError(found, expected), name).toBeLessThan(1e-9);
        }
      },
    );

    it('of Kronecker factors and of draws do not depend on the device', async () => {
      const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]);
      const problem = {
        model,
        params: model.init({ seed: 1, dtype: 'float64' }),
        x: tensor(vector(15, 1), [5, 3]),
        target: tensor(Int32Array.of(0, 1, 1, 0, 1), [5]),
        loss: 'cross_entropy',
      } as const;
      const v = vector(model.parameterCount, 2);
      const pairs = [device, 'cpu'].map(async (device) => {
        using factors = await kfac(problem, { device });
        using inverse = await factors.inverse({ damping: 0.1 });
        using drawn = await fisher(problem, { device, mcSamples: 3, seed: 4 });
        return [await factors.matvec(v), await inverse.matvec(v), await drawn.matvec(v)];
      });
      const [found, expected] = await Promise.all(pairs);
      for (const [i, each] of found!.entries()) expect(relativeError(each, expected![i]!)).toBeLessThan(1e-9);
    });
  });

  describe.skipIf(reason !== '')(`bad input${reason}`, () => {
    it.each([5, -1, 2 ** 40])('token %d of 5 is refused, and the device goes on', async (token) => {
      const good = { model: tokens, params, x: of(0, 1, 2, 3, 4, 0) };
      const bad = { ...good, x: of(0, 1, token, 3, 4, 0) };
      const v = vector(tokens.parameterCount, 1);
      const expected = await matvecOnTheFly(good, v);
      for (const options of [{ device }, { device, chunkSize: 1 }]) {
        await expect(matvecOnTheFly(bad, v, options)).rejects.toThrow(
          expect.objectContaining({
            code: 'ERR_INVALID_ARGUMENT',
            message: expect.stringMatching(/embedding.* is out of range: from 0 to below 5/),
          }),
        );
        expect(relativeError(await matvecOnTheFly(good, v, options), expected)).toBeLessThan(1e-12);
      }
    });

    // The first rows are tried beforehand, on their own.
    it.each([1, 30])('a class beyond those of a loss that is a program, in row %d', async (row) => {
      const model = Model.sequential([nn.linear(2, 4)]);
      const target = new BigInt64Array(40);
      target[row] = 9n;
      const problem = {
        model,
        params: model.init({ seed: 0, dtype: 'float64' }),
        x: tensor(vector(80, 1), [40, 2]),
        target: tensor(target, [40]),
        loss: PROGRAMS.get('cross-entropy-rows')!,
      };
      await expect(lossAndGradient(problem, { device })).rejects.toThrow(
        expect.objectContaining({
          code: 'ERR_INVALID_ARGUMENT',
          message: expect.stringContaining('index 9'),
        }),
      );
    });

    it('a graph of nodes, whose rows are none of their own, in chunks', async () => {
      const folder = join(import.meta.dirname, '../fixtures/signatures');
      const { inputs, params, v, jtjv } = JSON.parse(readFileSync(join(folder, 'graph.json'), 'utf8'));
      const model = await Model.load(join(folder, 'graph.pt2'));
      const problem = { model, params: decode(params).data, x: inputs.map(decode) };
      await expect(matvecOnTheFly(problem, decode(v).data, { device, chunkSize: 1 })).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_UNSUPPORTED_OP' }),
      );
      const whole = await matvecOnTheFly(problem, decode(v).data, { device });
      expect(relativeError(whole, decode(jtjv).data)).toBeLessThan(1e-9);
    });
  });
});
