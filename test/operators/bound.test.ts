/** A bound problem is the problem, at any parameters, in every function. */
import { describe, expect, it } from 'vitest';
import {
  bind,
  fisher,
  Generator,
  gaussNewton,
  gramian,
  hessian,
  lossAndGradient,
  lossAndGradientSync,
  Model,
  matvecDense,
  matvecOnTheFlySync,
  nn,
  ntk,
  perSampleLosses,
} from '../../lib/index.ts';

const model = Model.sequential([nn.linear(3, 4), nn.tanh(), nn.linear(4, 2)]);
const draw = new Generator(1);
const randn = (...shape: number[]) => draw.randn(shape, { dtype: 'float64' });
const [x, target] = [randn(5, 3), randn(5, 2)];
const problem = { model, x, target, loss: 'mse', reduction: 'sum' } as const;
const points = [0, 1].map((seed) => model.init({ seed, dtype: 'float64' }));
const v = randn(model.parameterCount).data;
const code = (code: string) => expect.objectContaining({ code });

describe('bind', () => {
  it('gives no problem before it has parameters, which is said', async () => {
    using bound = await bind(problem);
    await expect(gaussNewton(bound as never)).rejects.toThrow(/give bound\.at\(params\)/);
    expect(() => lossAndGradientSync(bound as never)).toThrow(/give bound\.at\(params\)/);
  });

  it('gives at each point what the problem gives', async () => {
    using bound = await bind(problem);
    for (const params of points) {
      const [here, there] = [bound.at(params), { ...problem, params }];
      expect(matvecOnTheFlySync(here, v)).toEqual(matvecOnTheFlySync(there, v));
      expect(await matvecDense(here, v)).toEqual(await matvecDense(there, v));
      expect(lossAndGradientSync(here)).toEqual(lossAndGradientSync(there));
      expect(await lossAndGradient(here)).toEqual(await lossAndGradient(there));
      expect(await perSampleLosses(here)).toEqual(await perSampleLosses(there));
      for (const [a, b] of [
        [await gramian(here), await gramian(there)],
        [await gaussNewton(here), await gaussNewton(there)],
        [await hessian(here), await hessian(there)],
        [await fisher(here), await fisher(there)],
      ] as const)
        expect(a.matvecSync(v)).toEqual(b.matvecSync(v));
      using cross = await ntk(there, { x2: here.x });
      expect(cross.shape).toEqual([10, 10]);
      expect(await model.forward(params, here.x)).toEqual(await model.forward(params, x));
    }
  });

  it('has copied the data, and gives them back', async () => {
    const own = { data: x.data.slice(), shape: [5, 3] };
    using bound = await bind({ model, x: own });
    own.data.fill(0);
    const here = bound.at(points[0]!);
    expect(here.x).toMatchObject({ shape: [5, 3] });
    expect(here.x.data).toEqual(x.data);
    here.x.data.fill(7);
    expect(matvecOnTheFlySync(here, v)).toEqual(matvecOnTheFlySync({ model, params: points[0]!, x }, v));
    expect(bound).toMatchObject({ device: 'cpu', disposed: false });
  });

  it('reads all of the data when it is called', async () => {
    const [own, wanted] = [
      { data: x.data.slice(), shape: [5, 3] },
      { data: target.data.slice(), shape: [5, 2] },
    ];
    const list = [own];
    const made = bind({ ...problem, x: list, target: wanted });
    list.push(wanted);
    own.data.fill(0);
    wanted.data.fill(0);
    using bound = await made;
    const params = points[0]!;
    expect(lossAndGradientSync(bound.at(params))).toEqual(lossAndGradientSync({ ...problem, params }));
  });

  it('is used after its end in nothing', async () => {
    const bound = await bind(problem);
    const here = bound.at(points[0]!);
    using made = await gramian(here);
    bound.dispose();
    bound.dispose();
    expect(bound.disposed).toBe(true);
    expect(() => matvecOnTheFlySync(here, v)).toThrow(code('ERR_DISPOSED'));
    await expect(lossAndGradient(here)).rejects.toThrow(code('ERR_DISPOSED'));
    using own = await gramian({ ...problem, params: points[0]! });
    expect(made.matvecSync(v)).toEqual(own.matvecSync(v));
  });

  it('refuses what does not fit', async () => {
    using bound = await bind(problem);
    const single = model.init({ dtype: 'float32' });
    expect(() => lossAndGradientSync(bound.at(single) as never)).toThrow(code('ERR_DTYPE_MISMATCH'));
    await expect(bind({ ...problem, x: { data: x.data, shape: [4, 3] } })).rejects.toThrow(
      code('ERR_SHAPE_MISMATCH'),
    );
    await expect(bind(bound.at(points[0]!))).rejects.toThrow('bound already');
    await expect(bind(problem, { device: 'cuda:63' })).rejects.toThrow(code('ERR_DEVICE_UNAVAILABLE'));
    await expect(bind(problem, { devise: 'cpu' } as object)).rejects.toThrow('device');
    await expect(bind(problem, { signal: AbortSignal.abort('no') })).rejects.toBe('no');
    await expect(bind(7 as never)).rejects.toThrow(TypeError);
  });
});
