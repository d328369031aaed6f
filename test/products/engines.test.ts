/** The fused engine against autograd, on random chains; what only one of them is asked. */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import * as library from '../../lib/index.ts';
import {
  type FloatArray,
  Generator,
  gramianSync,
  linearizeSync,
  lossAndGradientSync,
  Model,
  matvecDenseSync,
  matvecOnTheFly,
  matvecOnTheFlySync,
  nn,
} from '../../lib/index.ts';
import { MODEL_OPERATORS, type ModelOperator } from '../../lib/operators/kinds.ts';
import { byCounts } from '../support/counts.ts';
import { layersOf, MODEL_CASES, problemOf, relativeError, tensorOf } from '../support/models.ts';

type Layer = readonly [string, ...unknown[]];
type LayerList = readonly Layer[];

/** A chain with its data, both drawn from the seed. */
interface Chain {
  layers: LayerList;
  rows: number;
  seed: number;
  dtype: 'float32' | 'float64';
}

const SCRIPT = fileURLToPath(new URL('../fixtures/engines.mjs', import.meta.url));
const { compare } = (await import(SCRIPT)) as {
  compare(from: typeof library, chain: Chain): Record<string, [FloatArray, FloatArray]>;
};

const WIDTHS = [1, 3, 4, 5, 7, 63, 65];
const ROWS = [1, 2, 17, 130];
const ACTIVATIONS: LayerList = [
  ['tanh'],
  ['relu'],
  ['gelu'],
  ['gelu', { approximate: 'tanh' }],
  ['silu'],
  ['sigmoid'],
  ['softplus'],
  ['softplus', { beta: 1.5, threshold: 2 }],
  ['elu'],
  ['elu', { alpha: 0.7 }],
  ['leakyRelu'],
  ['leakyRelu', { negativeSlope: 0.2 }],
];

/** Random chains, the same for the same seed. */
function chains(count: number, seed: number, dtype: Chain['dtype']): Chain[] {
  const numbers = new Generator(seed).uniform([count * 64]).data;
  let drawn = 0;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(numbers[drawn++]! * list.length)]!;
  const linear = (from: number, to: number): Layer => [
    'linear',
    from,
    to,
    { bias: pick([true, true, false]) },
  ];
  const block = (width: number): LayerList => {
    const inner = pick(WIDTHS);
    return pick([
      [pick(ACTIVATIONS)],
      [pick(ACTIVATIONS), linear(width, width)],
      [linear(width, inner), pick(ACTIVATIONS), linear(inner, width)],
      [linear(width, width), ['residual', [pick(ACTIVATIONS), linear(width, width)]]],
    ]);
  };
  return Array.from({ length: count }, (_, i) => {
    let width = pick(WIDTHS);
    const layers: Layer[] = [];
    const depth = pick([1, 2, 3]);
    for (let l = 0; l < depth; l++) {
      const next = pick(WIDTHS);
      layers.push(linear(width, next), pick(ACTIVATIONS));
      if (pick([true, false, false])) layers.push(['residual', block(next)]);
      width = next;
    }
    if (pick([true, true, false])) layers.push(linear(width, pick([1, 1, 3, 5])));
    return { layers, rows: pick(ROWS), seed: 1000 * seed + i, dtype };
  });
}

const TOLERANCE = { float32: 2e-6, float64: 1e-12 };

describe.each(['float64', 'float32'] as const)('in %s', (dtype) => {
  it.each([1, 2, 3])('the engines agree on random chains, seed %i', { timeout: 120_000 }, (seed) => {
    for (const chain of chains(byCounts(25, 200), seed, dtype)) {
      for (const [product, [fused, autograd]] of Object.entries(compare(library, chain))) {
        const error = relativeError(fused, autograd);
        if (!(error <= TOLERANCE[dtype])) {
          expect.fail(`${product} differs by ${error}: ${JSON.stringify(chain)}`);
        }
      }
    }
  });
});

it.for(ACTIVATIONS)('%j has the same derivative at any argument, saturated ones too', (activation) => {
  const model = Model.sequential(layersOf([['linear', 1, 1], activation]));
  const points = [0, 1e-30, 1e-8, 0.1, 0.5, 1, 2, 5, 10, 19.9, 20.1, 40, 90, 200, 800, 1e4].flatMap((z) => [
    z,
    -z,
  ]);
  for (const Floats of [Float32Array, Float64Array]) {
    const x = { data: Floats.from(points), shape: [points.length, 1] };
    // φ(1·x + 0), differentiated by the bias.
    const problem = { model, params: Floats.of(1, 0), x };
    using fused = linearizeSync(problem, { engine: 'fused' });
    using autograd = linearizeSync(problem, { engine: 'autograd' });
    const [a, b] = [fused, autograd].map((lin) => lin.jvpSync(Floats.of(0, 1)).data);
    const difference = a!.map((each, i) => Math.abs(each - b![i]!));
    expect(Math.max(...difference)).toBeLessThan(Floats === Float32Array ? 1e-6 : 1e-13);
    const values = fused.output.data.map(
      (each, i) => Math.abs(each - autograd.output.data[i]!) / (1 + Math.abs(points[i]!)),
    );
    expect(Math.max(...values)).toBeLessThan(Floats === Float32Array ? 1e-6 : 1e-13);
  }
});

describe('one chain', () => {
  const model = Model.sequential([
    nn.linear(5, 65),
    nn.tanh(),
    nn.residual([nn.linear(65, 63), nn.silu(), nn.linear(63, 65)]),
    nn.relu(),
    nn.linear(65, 3),
  ]);
  const generator = new Generator(7);
  const problem = { model, params: model.init({ generator }), x: generator.randn([1000, 5]) };
  const v = generator.randn([model.parameterCount]).data;
  const engine = 'fused';

  it('gives the same bits each time on the same number of threads', async () => {
    for (const threads of [1, 2]) {
      const how = { engine, threads } as const;
      const expected = matvecOnTheFlySync(problem, v, how);
      using lin = linearizeSync(problem, how);
      const kept = lin.matvecSync(v);
      const dense = matvecDenseSync({ ...problem, x: tensorRows(50) }, v, { ...how, strategy: 'jacobian' });
      for (let i = 0; i < 5; i++) {
        expect(await matvecOnTheFly(problem, v, how)).toEqual(expected);
        expect(await lin.matvec(v)).toEqual(kept);
        using again = linearizeSync(problem, how);
        expect(again.matvecSync(v)).toEqual(kept);
        expect(
          matvecDenseSync({ ...problem, x: tensorRows(50) }, v, { ...how, strategy: 'jacobian' }),
        ).toEqual(dense);
      }
    }
  });

  it('gives right products when many run at once', async () => {
    using lin = linearizeSync(problem, { engine });
    const vectors = Array.from({ length: 24 }, (_, i) => new Generator(i).randn([model.parameterCount]).data);
    const expected = vectors.map((each) => lin.matvecSync(each));
    const results = await Promise.all(
      vectors.map((each, i) =>
        i % 3 === 0 ? matvecOnTheFly(problem, each, { engine, threads: 1 + (i % 2) }) : lin.matvec(each),
      ),
    );
    results.forEach((result, i) => {
      expect(relativeError(result, expected[i]!)).toBeLessThan(2e-6);
    });
  });

  it('gives zero for a zero tangent', () => {
    const zero = new Float32Array(model.parameterCount);
    using lin = linearizeSync(problem, { engine });
    expect(matvecOnTheFlySync(problem, zero, { engine }).every((each) => each === 0)).toBe(true);
    expect(lin.jvpSync(zero).data.every((each) => each === 0)).toBe(true);
    expect(lin.vjpSync(new Float32Array(3000)).every((each) => each === 0)).toBe(true);
  });

  it('lets NaN through from the data, the parameters and the vector, and no further than it should', () => {
    const broken = problem.x.data.slice();
    broken[0] = Number.NaN;
    using lin = linearizeSync({ ...problem, x: { data: broken, shape: problem.x.shape } }, { engine });
    const { data } = lin.jvpSync(v);
    // Rows are on their own: only the first is touched.
    expect(data.subarray(0, 3).every(Number.isNaN)).toBe(true);
    expect(data.subarray(3).every(Number.isFinite)).toBe(true);
    expect(lin.matvecSync(v).every(Number.isNaN)).toBe(true);

    using whole = linearizeSync(problem, { engine });
    const tangent = v.slice();
    tangent[tangent.length - 1] = Number.NaN; // the last bias, which is added to the last output alone
    const touched = whole.jvpSync(tangent).data;
    expect(touched.every((each, i) => Number.isNaN(each) === (i % 3 === 2))).toBe(true);
    expect(matvecOnTheFlySync(problem, tangent, { engine }).some(Number.isNaN)).toBe(true);

    const params = problem.params.slice();
    params[0] = Number.NaN;
    expect(matvecOnTheFlySync({ ...problem, params }, v, { engine }).every(Number.isNaN)).toBe(true);
  });

  function tensorRows(rows: number) {
    return { data: problem.x.data.slice(0, rows * 5), shape: [rows, 5] };
  }
});

describe('each operator of a chain', () => {
  const generator = new Generator(8);
  const model = Model.sequential([nn.linear(3, 5), nn.tanh(), nn.linear(5, 2)]);
  const target = generator.randn([9, 2]);
  const problem = {
    ...{ model, params: model.init({ generator }), x: generator.randn([9, 3]) },
    ...{ loss: 'mse', target },
  } as const;
  const BY_AUTOGRAD = new Set(['hessian', 'kfac', 'ekfac']);
  const factories = library as unknown as Record<string, (given: unknown, how: object) => Promise<unknown>>;

  it.each(Object.keys(MODEL_OPERATORS))('%s is made by the engine asked for, or refused', async (name) => {
    for (const engine of ['fused', 'autograd']) {
      const made = factories[name]!(problem, { engine });
      if (engine === 'fused' && BY_AUTOGRAD.has(name)) {
        await expect(made).rejects.toMatchObject({
          code: 'ERR_UNSUPPORTED_OP',
          message: expect.stringContaining(`the fused engine does not make ${name}`),
        });
      } else {
        // Kronecker factors have no engine: they are matrices of their own.
        const expected = MODEL_OPERATORS[name as ModelOperator] as { factored?: true };
        expect((await made) as object).toMatchObject(expected.factored ? {} : { engine });
      }
    }
  });
});

describe('a model that is no chain', () => {
  const UNSUPPORTED: [string, RegExp][] = [
    ['conv2d', /conv/],
    ['layer norm', /layer_norm/],
    ['embedding', /embedding|type/],
  ];

  it.each(UNSUPPORTED)('is refused by the fused engine, which says why: %s', (name, why) => {
    const each = MODEL_CASES.find((candidate) => candidate.name === name)!;
    const problem = problemOf(each);
    const v = Float64Array.from(each.v);
    const refused = expect.objectContaining({
      code: 'ERR_UNSUPPORTED_OP',
      message: expect.stringMatching(why),
    });
    const how = { engine: 'fused' } as const;
    expect(() => matvecOnTheFlySync(problem, v, how)).toThrow(refused);
    expect(() => linearizeSync(problem, how)).toThrow(refused);
    expect(() => gramianSync(problem, how)).toThrow(refused);
    expect(() => matvecDenseSync(problem, v, how)).toThrow(refused);
    const squares = { ...problem, loss: 'mse', target: tensorOf(each.y) } as const;
    expect(() => lossAndGradientSync(squares, how)).toThrow(refused);
    // Nobody who leaves the choice to the package sees that.
    expect(relativeError(matvecOnTheFlySync(problem, v), each.jtjv)).toBeLessThan(1e-12);
  });
});

describe('instruction sets', () => {
  const flags = existsSync('/proc/cpuinfo') ? readFileSync('/proc/cpuinfo', 'utf8') : '';
  const has = (...names: string[]) =>
    names.every((name) => new RegExp(`^flags.*\\b${name}\\b`, 'm').test(flags));
  const SETS = [
    ['baseline', true],
    ['avx2', has('avx2', 'fma')],
    ['avx512', has('avx512f', 'avx512dq', 'avx512bw', 'avx512vl')],
  ] as const;
  const digests = new Map<string, string>();

  it.for(SETS)('%s agrees with autograd', { timeout: 120_000 }, async ([name, available], { skip }) => {
    skip(!available, `the processor lacks ${name}`);
    const list = [...chains(40, 11, 'float64'), ...chains(40, 12, 'float32')];
    const { errors, digest } = await check(name, list);
    expect(errors).toHaveLength(list.length);
    errors.forEach((byProduct, i) => {
      for (const [product, error] of Object.entries(byProduct)) {
        if (!(error! <= TOLERANCE[list[i]!.dtype])) {
          expect.fail(`${product} differs by ${error}: ${JSON.stringify(list[i])}`);
        }
      }
    });
    digests.set(name, digest);
  });

  it('are really others: sums are rounded differently', () => {
    expect(new Set(digests.values()).size).toBe(digests.size);
  });

  async function check(isa: string, list: Chain[]) {
    const child = spawn(process.execPath, [SCRIPT], {
      env: { ...process.env, TORCH_CURVATURE_ISA: isa },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end(JSON.stringify(list));
    return JSON.parse(await text(child.stdout)) as { errors: Record<string, number>[]; digest: string };
  }
});

describe('at the ends of the range', () => {
  // Numbers below the smallest normal one are 0 in own kernels.
  const FAR = [120, 1e3, 1e4, 1.76e12, 1e18].flatMap((z) => [z, -z]);
  const product = (
    layers: LayerList,
    x: number[],
    params: number[],
    v: number[],
    engine: 'auto' | 'autograd',
  ) => {
    const data = Float32Array.from(x);
    const model = Model.sequential(layersOf(layers));
    const width = layers[0]![1] as number;
    const tensor = { data, shape: [data.length / width, width] };
    const problem = { model, params: Float32Array.from(params), x: tensor };
    using lin = linearizeSync(problem, { engine });
    const direction = Float32Array.from(v);
    return {
      engine: lin.engine,
      values: [
        ...model.forwardSync(problem.params, tensor).data,
        ...lin.output.data,
        ...lin.jvpSync(direction).data,
        ...lin.matvecSync(direction),
        ...matvecOnTheFlySync(problem, direction, { engine }),
        ...matvecDenseSync(problem, direction, { engine }),
      ],
    };
  };

  it.each(ACTIVATIONS)('%s is what libtorch has, and what is behind it', (...activation) => {
    for (const z of FAR) {
      for (const last of [['linear', 1, 1], ['relu']] as const) {
        const layers = [['linear', 1, 1], activation, ['linear', 1, 1], last] as unknown as LayerList;
        const params = last[0] === 'relu' ? [1, 0, 1, 0] : [1, 0, 1, 0, 1, 0];
        const v = params.map((_, i) => (i % 2 === 0 ? 0 : 1));
        const [own, libtorch] = (['auto', 'autograd'] as const).map((engine) =>
          product(layers, [z], params, v, engine),
        );
        expect(own!.engine).toBe('fused');
        expect(relativeError(own!.values, libtorch!.values), `${z}, ${last[0]}`).toBeLessThan(1e-5);
      }
    }
  });

  const NETWORK: LayerList = [['linear', 2, 3], ['relu'], ['linear', 3, 1]];
  const PARAMS = [1, 0, -1, 0.5, 0, 1, 0, -9, 0, 1, 1, 1, 0];
  it.each([
    ['a direction that overflows in a unit that is off', [1, 2, 3, 4, 5, 6], PARAMS, 3e38],
    ['an infinite last row', [1, 2, 3, 4, 5, Infinity], PARAMS, 1],
    ['an infinite first row', [-Infinity, 2, 3, 4, 5, 6], PARAMS, 1],
    ['a row of NaN', [1, 2, NaN, 4, 5, 6], PARAMS, 1],
    ['infinite parameters', [1, 2, 3, 4, 5, 6], PARAMS.with(2, -Infinity), 1],
  ] as const)('%s gives what libtorch gives', (_, x, params, size) => {
    const v = params.map((__, i) => (i === 2 || i === 3 ? size : 0.1 * i));
    const [own, libtorch] = (['auto', 'autograd'] as const).map((engine) =>
      product(NETWORK, [...x], [...params], v, engine),
    );
    expect(own!.engine).toBe('fused');
    own!.values.forEach((value, i) => {
      const expected = libtorch!.values[i]!;
      if (Number.isFinite(expected))
        expect(Math.abs(value - expected)).toBeLessThan(1e-5 * Math.abs(expected) + 1e-30);
      else expect(value).toBe(expected);
    });
  });
});
