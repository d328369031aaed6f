/** Results of whole numbers, which have no derivatives. */
import { describe, expect, it } from 'vitest';
import {
  gaussNewton,
  gramian,
  hessian,
  jacobian,
  kfac,
  linearize,
  lossAndGradient,
  Model,
  matvecDense,
  matvecOnTheFly,
  ntk,
  type Problem,
  perSampleGradients,
  tensor,
} from '../../../lib/index.ts';
import { pt2, tensorArgument as T } from './pt2-file.ts';

const file = pt2(
  [
    ['torch.ops.aten.linear.default', Object.entries({ input: T('x'), weight: T('p_w') }), ['h']],
    ['torch.ops.aten.argmax.default', Object.entries({ self: T('h'), dim: { as_int: -1 } }), ['y']],
  ],
  'y',
);
const x = tensor(new Float64Array([1, 2, 3, -4, 5, 6, 7, -8, 9]), [3, 3]);
const params = Float64Array.from({ length: 15 }, (_, i) => Math.sin(i));

describe('a result of whole numbers', async () => {
  const model = await Model.load(file);
  const problem: Problem = { model, params, x };
  const loss = { ...problem, loss: 'mse', target: tensor(new Float64Array(3), [3]) } as const;

  it('is computed', async () => {
    const { data, shape } = await model.forward(params, x);
    expect(shape).toEqual([3]);
    expect(data).toBeInstanceOf(BigInt64Array);
  });

  it.each<[string, () => Promise<unknown>]>([
    ['matvecOnTheFly', () => matvecOnTheFly(problem, params)],
    ['matvecOnTheFly in chunks', () => matvecOnTheFly(problem, params, { chunkSize: 2 })],
    ['matvecDense', () => matvecDense(problem, params)],
    ['linearize', () => linearize(problem)],
    ['jacobian', () => jacobian(problem)],
    ['gramian', () => gramian(problem)],
    ['ntk', () => ntk(problem)],
    ['lossAndGradient', () => lossAndGradient(loss)],
    ['gaussNewton', () => gaussNewton(loss)],
    ['hessian', async () => (await hessian(loss)).matvec(params)],
    ['kfac', () => kfac(loss)],
    ['perSampleGradients', async () => (await perSampleGradients(loss)).toDense()],
  ])('has no %s', async (_, product) => {
    await expect(product()).rejects.toMatchObject({
      code: 'ERR_DTYPE_MISMATCH',
      message: expect.stringMatching(/Long, which has no derivatives.*output:/),
    });
  });
});
