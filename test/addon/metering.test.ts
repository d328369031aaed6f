/** What is said of an operation while nobody profiles it is what a profile says. */
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  cg,
  ekfac,
  empiricalFisher,
  type FloatArray,
  Generator,
  gaussNewton,
  gramian,
  hessian,
  jacobian,
  kfac,
  type LinearOperator,
  linearize,
  lossAndGradient,
  Model,
  matvecDense,
  matvecOnTheFly,
  nn,
  profile,
  trace,
} from '../../lib/index.ts';
import { FOLDER } from '../model/files/fixtures.ts';
import { heardOf } from './heard.ts';

interface Message {
  of?: string;
  kind: string;
  engine?: string;
  flops?: number;
}

async function messageOf(work: () => unknown): Promise<Message> {
  const heard = await heardOf(work);
  expect(heard).toHaveLength(1);
  return heard[0] as Message;
}

async function flopsOfProfile(work: () => unknown): Promise<number> {
  const { profile: recorded } = await profile(work, { withFlops: true });
  return recorded.keyAverages().reduce((sum, { flops }) => sum + flops, 0);
}

const generator = new Generator(3);
const LAYERS = Model.sequential([nn.linear(6, 16), nn.tanh(), nn.linear(16, 4)]);
const IMAGES = Model.sequential([
  nn.conv2d(1, 3, 3),
  nn.gelu(),
  nn.maxPool2d(2),
  nn.flatten(),
  nn.linear(12, 4),
]);
const tokens = await Model.load(join(FOLDER, 'attention.pt2'));
const PROBLEMS = {
  layers: { model: LAYERS, x: generator.randn([32, 6], { dtype: 'float64' }) },
  images: { model: IMAGES, x: generator.randn([32, 1, 6, 6], { dtype: 'float64' }) },
};

describe.each(Object.entries(PROBLEMS))('of %s', (_, { model, x }) => {
  const params = model.init({ generator, dtype: 'float64' });
  const problem = { model, params, x };
  const loss = { ...problem, loss: 'mse', target: generator.randn([32, 4], { dtype: 'float64' }) } as const;
  const v = generator.randn([params.length], { dtype: 'float64' }).data as FloatArray;
  const on = async (made: Promise<LinearOperator>, work: (op: LinearOperator) => unknown) => {
    const op = await made;
    return () => work(op);
  };
  const times = (op: LinearOperator) => op.matvec(new Float64Array(op.shape[1]).fill(1));

  it.each<[string, string | undefined, () => Promise<() => unknown>]>([
    ['forward', undefined, async () => () => model.forward(params, x)],
    ['linearize', undefined, async () => () => linearize(problem)],
    ['matvec_on_the_fly', undefined, async () => () => matvecOnTheFly(problem, v)],
    ['matvec_on_the_fly', undefined, async () => () => matvecOnTheFly(problem, v, { engine: 'autograd' })],
    ['matvec_dense', undefined, async () => () => matvecDense(problem, v)],
    ['lossGradient', undefined, async () => () => lossAndGradient(loss)],
    ['hessian', undefined, async () => () => hessian(loss)],
    ['kfac', undefined, async () => () => kfac(loss)],
    ['ekfac', undefined, async () => () => ekfac(loss)],
    ['operatorApply', 'gramian', () => on(gramian(problem), times)],
    ['operatorApply', 'jacobian', () => on(jacobian(problem), times)],
    ['operatorApply', 'gaussNewton', () => on(gaussNewton(loss), times)],
    ['operatorApply', 'hessian', () => on(hessian(loss), times)],
    ['operatorApply', 'empiricalFisher', () => on(empiricalFisher(loss), times)],
    ['operatorDiagonal', 'gaussNewton', () => on(gaussNewton(loss), (op) => op.diagonal())],
    ['operatorDense', 'gramian', () => on(gramian(problem), (op) => op.toDense())],
    [
      'cg',
      'damped',
      () =>
        on(
          gaussNewton(loss).then((op) => op.damp(1)),
          (op) => cg(op, v),
        ),
    ],
    ['trace', 'gramian', () => on(gramian(problem), (op) => trace(op, { samples: 3 }))],
  ])('%s %s', async (kind, of, make) => {
    const work = await make();
    await work();
    const message = await messageOf(work);
    expect(message).toMatchObject({ kind, engine: expect.stringMatching(/^(fused|autograd)$/) });
    if (of !== undefined) expect(message.of).toBe(of);
    const flops = await flopsOfProfile(work);
    expect(flops).toBeGreaterThan(0);
    expect(Math.abs(message.flops! / flops - 1)).toBeLessThan(1e-9);
  });
});

it('of attention', async () => {
  const x = generator.randn([6, ...tokens.inputs[0]!.shape.slice(1).map(Number)], { dtype: 'float64' });
  const problem = { model: tokens, params: Float64Array.from(tokens.initialParameters!), x };
  for (const work of [
    () => matvecOnTheFly(problem, problem.params),
    () => tokens.forward(problem.params, x),
    () => matvecDense(problem, problem.params),
  ]) {
    await work();
    const { flops } = await messageOf(work);
    expect(Math.abs(flops! / (await flopsOfProfile(work)) - 1)).toBeLessThan(1e-9);
  }
});
