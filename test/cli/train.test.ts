/** `train` on models of PyTorch: its steps are those of `optim`, bit for bit, and its files hold what it says. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { RunFailure } from '../../lib/cli/failure.ts';
import { type AnyLossProblem, METHODS as METHODS_OF_THE_COMMAND } from '../../lib/cli/train/methods.ts';
import { minibatches } from '../../lib/cli/train/minibatches.ts';
import { someOf as someValues } from '../../lib/cli/train/report.ts';
import { trainCommand } from '../../lib/cli/train.ts';
import {
  type FloatArray,
  loadSafetensors,
  lossAndGradientSync,
  Model,
  nn,
  optim,
  type Tensor,
  TorchCurvatureError,
} from '../../lib/index.ts';
import { Optimizer } from '../../lib/optim/optimizer.ts';
import { BoundProblem } from '../../lib/problem/bind.ts';
import { chromiumPath } from '../support/chromium.ts';
import { someOf } from '../support/counts.ts';
import { coloredPixels, openPage } from '../support/open-page.ts';
import { filesOf, npy, safetensors } from './files.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/', import.meta.url));
const THREADS = { threads: 1 };

/** A model of PyTorch with its inputs in files, and targets unlike its outputs. */
async function trainable(name: string, loss: 'mse' | 'cross_entropy' = 'mse') {
  const path = join(FIXTURES, `models/${name}.pt2`);
  const { inputs, output } = JSON.parse(await readFile(path.replace(/pt2$/, 'json'), 'utf8'));
  const model = await Model.load(path);
  const params = model.initialParameters!;
  const Floats = params.constructor as Float64ArrayConstructor;
  const tensors: Tensor[] = inputs.map(
    ({ dtype, data, shape }: { dtype: string; data: number[]; shape: number[] }) => ({
      data: dtype === 'int64' ? BigInt64Array.from(data, BigInt) : Floats.from(data),
      shape,
    }),
  );
  const [rows, classes] = output.shape;
  const target: Tensor =
    loss === 'mse'
      ? { data: Floats.from(output.data, (_, i) => Math.sin(i)), shape: output.shape }
      : { data: Int32Array.from({ length: rows }, (_, i) => i % classes), shape: [rows] };
  const names = tensors.map((_, i) => `x${i}.npy`);
  const files = await filesOf({
    ...Object.fromEntries(tensors.map(({ data, shape }, i) => [names[i]!, npy(data as never, [...shape])])),
    'y.npy': npy(target.data as never, [...target.shape]),
  });
  const problem: AnyLossProblem = {
    model,
    params,
    x: tensors.length === 1 ? tensors[0]! : tensors,
    target,
    loss,
  };
  const given = [
    '--model',
    path,
    ...names.flatMap((each) => ['--x', each]),
    '--target',
    'y.npy',
    '--loss',
    loss,
  ];
  const train = (...args: string[]) => files.run('train', ...given, '--threads', '1', ...args);
  return { ...files, train, problem, model, given };
}

/** The records of so many steps, without their time. */
async function stepsOf(optimizer: optim.Optimizer, steps: number, data?: Iterator<optim.StepData>) {
  for (let step = 0; step < steps; step++) await optimizer.step(data?.next().value);
  return optimizer.records;
}

const withoutTime = (records: readonly Record<string, unknown>[]) =>
  records.map(({ milliseconds, ...record }) => {
    expect(milliseconds).toBeGreaterThan(0);
    return record;
  });

type Make = (problem: AnyLossProblem, options: object) => optim.Optimizer;
const METHODS: readonly [name: string, make: Make][] = [
  ['levenberg-marquardt', optim.levenbergMarquardt],
  ['natural-gradient', optim.naturalGradient],
  ['newton-cg', optim.newtonCG],
];
const MODELS = [
  ['mlp', 'mse'],
  ['mlp-float32', 'mse'],
  ['cnn', 'cross_entropy'],
  ['merged', 'cross_entropy'],
  ['attention', 'mse'],
  ['two-inputs', 'mse'],
  ['fixed-one-cnn', 'mse'],
] as const;

const RUNS = METHODS.flatMap(([method, make]) =>
  MODELS.map(([name, loss]) => ({ method, make, name, loss })),
);

it.each(someOf(RUNS, 5))(
  '$method of $name, $loss: the steps of optim',
  async ({ method, make, name, loss }) => {
    const { train, json, problem, model, folder } = await trainable(name, loss);
    const files = ['--out', 'p.safetensors', '--json', 'r.json'];
    const { code, stdout, stderr } = await train(
      '--method',
      method,
      '--steps',
      '5',
      '--patience',
      '6',
      ...files,
    );
    expect(stderr).toBe('');
    expect(code).toBe(0);

    const optimizer = make(problem, THREADS);
    const records = await stepsOf(optimizer, 5);
    const results = await json('r.json');
    expect(withoutTime(results.records)).toEqual(records);
    const trained = model.flatten(
      (await loadSafetensors(join(folder, 'p.safetensors'))) as Record<string, FloatArray>,
    );
    expect(trained).toEqual(optimizer.params);

    const { loss: reached } = lossAndGradientSync({ ...problem, params: trained }, THREADS);
    expect(results).toMatchObject({
      ...{ command: 'train', method, loss, reduction: 'mean', steps: 5, reason: 'steps', converged: false },
      ...{ parameterCount: model.parameterCount, initialLoss: records[0]!.loss, finalLoss: reached },
      accepted: records.filter(({ accepted }) => accepted).length,
    });
    expect(reached).toBeLessThan(results.initialLoss);
    expect(stdout).toContain(`${method}, ${loss} of `);
    expect(stdout).toContain(`→ ${Number(reached.toPrecision(6))}: 5 steps, `);
  },
);

it('every optimizer of the library is a method', () => {
  // These two have no loss: they are told the energies of samples.
  const { sr: _, minSR: __, ...optimizers } = optim;
  const methods = Object.values(METHODS_OF_THE_COMMAND).map(({ make }) => make);
  expect(new Set(methods)).toEqual(new Set(Object.values(optimizers)));
  expect(METHODS.map(([name]) => name)).toEqual(Object.keys(METHODS_OF_THE_COMMAND));
});

const TYPES = ['--fisher', 'mc', '--mc-samples', '3'];
const OPTIONS: readonly [string, string[], Make, object, object][] = [
  [
    'levenberg-marquardt',
    ['--damping', '0.3', '--tolerance', '1e-9', '--max-iterations', '4'],
    optim.levenbergMarquardt,
    { damping: 0.3, tolerance: 1e-9, maxIterations: 4 },
    {},
  ],
  [
    'levenberg-marquardt',
    ['--l2', '0.1', '--reduction', 'sum'],
    optim.levenbergMarquardt,
    {},
    { l2: 0.1, reduction: 'sum' },
  ],
  [
    'levenberg-marquardt',
    ['--loss', 'huber', '--loss-option', 'delta=0.2'],
    optim.levenbergMarquardt,
    {},
    { loss: { name: 'huber', delta: 0.2 } },
  ],
  ['natural-gradient', TYPES, optim.naturalGradient, { fisher: 'mc', mcSamples: 3 }, {}],
  [
    'natural-gradient',
    ['--fisher', 'mc', '--seed', '7'],
    optim.naturalGradient,
    { fisher: 'mc', seed: 7 },
    {},
  ],
  ['natural-gradient', ['--fisher', 'empirical'], optim.naturalGradient, { fisher: 'empirical' }, {}],
  [
    'newton-cg',
    ['--radius', '0.02', '--max-radius', '0.03'],
    optim.newtonCG,
    { radius: 0.02, maxRadius: 0.03 },
    {},
  ],
  [
    'newton-cg',
    ['--engine', 'autograd', '--chunk-size', '2'],
    optim.newtonCG,
    { engine: 'autograd', chunkSize: 2 },
    {},
  ],
];
it.each(someOf(OPTIONS))('the options of %s arrive: %j', async (method, args, make, options, more) => {
  const { train, json, problem } = await trainable('mlp');
  const outcome = await train(
    '--method',
    method,
    '--steps',
    '4',
    '--out',
    'p.npy',
    '--json',
    'r.json',
    ...args,
  );
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  const records = await stepsOf(make({ ...problem, ...more }, { ...THREADS, ...options }), 4);
  expect(withoutTime((await json('r.json')).records)).toEqual(records);
  expect(records).not.toEqual(await stepsOf(make(problem, THREADS), 4));
});

describe('the file of parameters', () => {
  it.each(someOf(['p.npy', 'p.safetensors', 'p']))('%s goes on as if there were no break', async (out) => {
    const { train, json, given, run, array } = await trainable('mlp');
    const natural = (steps: number, file: string, ...more: string[]) =>
      train(
        '--method',
        'natural-gradient',
        '--steps',
        String(steps),
        '--out',
        file,
        '--json',
        'r.json',
        ...more,
      );
    await natural(3, out);
    const { finalLoss, damping, records } = await json('r.json');
    await natural(4, 'parts.npy', '--params', out, '--damping', String(damping));
    const second = await json('r.json');
    expect(second.initialLoss).toBe(finalLoss);
    await natural(7, 'whole.npy');
    const whole = await json('r.json');
    expect(whole.finalLoss).toBe(second.finalLoss);
    const losses = (list: { loss: number }[]) => list.map(({ loss }) => loss);
    expect(losses(whole.records)).toEqual([...losses(records), ...losses(second.records)]);
    expect(await array('parts.npy')).toEqual(await array('whole.npy'));
    // Other commands take it, too.
    const eigs = ['--params', out, '--operator', 'hessian', '--k', '1'];
    expect(await run('eigs', ...given, ...eigs)).toMatchObject({ code: 0, stderr: '' });
  });

  it('has the names and shapes of PyTorch, in the precision asked for', async () => {
    const { train, model, folder } = await trainable('cnn', 'cross_entropy');
    await train('--steps', '2', '--out', 'p.safetensors');
    const bytes = await readFile(join(folder, 'p.safetensors'));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + Number(bytes.readBigUInt64LE())));
    expect(Object.keys(header).sort()).toEqual(model.parameters.map(({ name }) => name).sort());
    for (const { name, shape } of model.parameters)
      expect(header[name]).toMatchObject({ dtype: 'F64', shape });
  });
});

it('a layer list from its seed, in either form of data', async () => {
  const files = {
    'data.safetensors': safetensors({
      x: { data: [1, 2, 3, 4, -1, 0.5], shape: [3, 2] },
      t: { data: [0.3, 1.9, 0.2], shape: [3, 1] },
    }),
  };
  const { run, json } = await filesOf(files);
  const data = ['--x', 'data.safetensors:x', '--target', 'data.safetensors:t', '--loss', 'mse'];
  const outcome = await run(
    'train',
    '--model',
    'model.json',
    ...data,
    '--seed',
    '3',
    '--out',
    'p.npy',
    '--json',
    'r.json',
  );
  expect(outcome).toMatchObject({ code: 0, stderr: '' });
  const model = Model.sequential([nn.linear(2, 1)]);
  expect((await json('r.json')).initialLoss).toBe(
    lossAndGradientSync({
      ...{ model, params: model.init({ seed: 3 }), loss: 'mse' },
      x: { data: new Float32Array([1, 2, 3, 4, -1, 0.5]), shape: [3, 2] },
      target: { data: new Float32Array([0.3, 1.9, 0.2]), shape: [3, 1] },
    }).loss,
  );
  // Three points and three parameters.
  expect((await json('r.json')).finalLoss).toBeLessThan(1e-10);
});

describe('ends', () => {
  it('where it has converged, at the start too', async () => {
    const { train, json, array } = await trainable('mlp');
    expect((await train('--steps', '200', '--out', 'p.npy', '--json', 'r.json')).code).toBe(0);
    const { converged, reason, records } = await json('r.json');
    expect({ converged, reason }).toEqual({ converged: true, reason: 'converged' });
    expect(records.length).toBeLessThan(200);
    expect(records.at(-1).gradientNorm).toBeLessThanOrEqual(1e-7);
    for (const { gradientNorm } of records.slice(0, -1)) expect(gradientNorm).toBeGreaterThan(1e-7);

    const again = await train('--params', 'p.npy', '--out', 'q.npy', '--json', 'r.json');
    expect(again).toMatchObject({ code: 0, stderr: '' });
    expect(await json('r.json')).toMatchObject({ steps: 0, reason: 'converged', records: [] });
    expect(await array('q.npy')).toEqual(await array('p.npy'));
  });

  it('where the gradient is small enough for the caller', async () => {
    const { train, json } = await trainable('mlp');
    await train('--gradient-tolerance', '0.1', '--out', 'p.npy', '--json', 'r.json');
    const { reason, records } = await json('r.json');
    expect(reason).toBe('converged');
    expect(records.at(-1).gradientNorm).toBeLessThanOrEqual(0.1);
    expect(records.at(-1).gradientNorm).toBeGreaterThan(1e-6);
  });

  it('where no step helps any more, with what was reached', async () => {
    const { train, json } = await trainable('mlp');
    const options = ['--gradient-tolerance', '0', '--steps', '500', '--patience', '3'];
    const { code, stdout, stderr } = await train(...options, '--out', 'p.npy', '--json', 'r.json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('none of the last 3 steps made the loss smaller');
    const { reason, records } = await json('r.json');
    expect(reason).toBe('noStepAccepted');
    expect(records.slice(-4).map(({ accepted }: { accepted: boolean }) => accepted)).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it.each([
    ['--patience', '1'],
    ['--steps', '1'],
  ])('with a failure where no step helped at all, %s %s', async (...limit) => {
    const { train, json, array, problem } = await trainable('mlp');
    const { code, stdout, stderr } = await train(
      '--damping',
      '1e-6',
      ...limit,
      '--out',
      'p.npy',
      '--json',
      'r.json',
    );
    expect(stderr).toMatch(/^torch-curvature: nothing was trained: [^\n]+\n$/);
    expect(code).toBe(1);
    expect(stdout).toContain('1 steps, 0 of them taken');
    expect(await json('r.json')).toMatchObject({ accepted: 0, converged: false });
    expect((await array('p.npy')).data).toEqual([...(problem.params as FloatArray)]);
  });

  it('before the first step where the loss is none', async () => {
    const { train, folder } = await trainable('mlp');
    await writeFile(join(folder, 'y.npy'), npy(new Float64Array(10).fill(Number.NaN), [5, 2]));
    const { code, stdout, stderr } = await train('--out', 'p.npy');
    expect(stderr).toBe('torch-curvature: the loss at the start is NaN\n');
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    await expect(readFile(join(folder, 'p.npy'))).rejects.toThrow('ENOENT');
  });
});

describe('an error in the middle', () => {
  const outOfMemory = () => new TorchCurvatureError('ERR_OUT_OF_MEMORY', 'there is no more memory');

  /** The command in this process, of whose optimizer the step of that number fails, or the loss after the last one. */
  async function failing(args: string[], failsAt: number | 'the end') {
    const { given, problem, folder, json, array } = await trainable('mlp');
    const { step } = Optimizer.prototype;
    let steps = 0;
    vi.spyOn(Optimizer.prototype, 'step').mockImplementation(function (this: optim.Optimizer, options) {
      if (++steps === failsAt) return Promise.reject(outOfMemory());
      return step.call(this, options);
    });
    const { at: problemAt } = BoundProblem.prototype;
    let points = 0;
    vi.spyOn(BoundProblem.prototype, 'at').mockImplementation(function (this: BoundProblem, params) {
      // After that of the loss at the start, and of the optimizer.
      if (++points === 3 && failsAt === 'the end') throw outOfMemory();
      return problemAt.call(this, params);
    });
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    onTestFinished(() => void vi.restoreAllMocks());
    const at = (name: string) => join(folder, name);
    const files = ['--out', at('p.npy'), '--json', at('r.json'), '--html', at('r.html')];
    const places = given.map((each) => (/^[xy]\d*\.npy$/.test(each) ? at(each) : each));
    const command = trainCommand().exitOverride();
    const run = command.parseAsync([...places, '--threads', '1', ...files, ...args], { from: 'user' });
    return { error: await run.catch((error) => error), problem, json, array, folder, at };
  }

  it('leaves what was reached, and says so', async () => {
    const { error, problem, json, array, at } = await failing([], 4);
    expect(error).toBeInstanceOf(RunFailure);
    const written = `${at('p.npy')} has the parameters of 3 steps`;
    expect(error.message).toBe(`there is no more memory (ERR_OUT_OF_MEMORY); ${written}`);
    expect(error.cause).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    vi.restoreAllMocks();
    const optimizer = optim.levenbergMarquardt(problem, THREADS);
    const records = await stepsOf(optimizer, 3);
    expect((await array('p.npy')).data).toEqual([...optimizer.params]);
    const results = await json('r.json');
    expect(withoutTime(results.records)).toEqual(records);
    expect(results).toMatchObject({ reason: 'failed', message: 'failed after 3 steps', converged: false });
    expect(await readFile(at('r.html'), 'utf8')).toContain('failed after 3 steps');
  });

  it('in the first step writes nothing', async () => {
    const { error, at } = await failing([], 1);
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_MEMORY' });
    await expect(readFile(at('p.npy'))).rejects.toThrow('ENOENT');
  });

  it('also where it is the loss of all rows at the end', async () => {
    const { error, json, array } = await failing(['--batch-size', '2', '--steps', '3'], 'the end');
    expect(error.message).toMatch(/\(ERR_OUT_OF_MEMORY\); .* has the parameters of 3 steps$/);
    expect(await json('r.json')).toMatchObject({ steps: 3, finalLoss: null });
    expect((await array('p.npy')).data.every(Number.isFinite)).toBe(true);
  });
});

describe('some rows at a time', () => {
  it('each step has the next rows, and the loss told is that of all', async () => {
    const { train, json, problem, array } = await trainable('mlp');
    const options = ['--batch-size', '2', '--seed', '4', '--steps', '7', '--damping', '1'];
    expect((await train(...options, '--out', 'p.npy', '--json', 'r.json')).stderr).toBe('');
    const optimizer = optim.levenbergMarquardt(problem, { ...THREADS, damping: 1 });
    const given = problem as Parameters<typeof minibatches>[0];
    const records = await stepsOf(optimizer, 7, minibatches(given, 2, 4));
    const results = await json('r.json');
    expect(withoutTime(results.records)).toEqual(records);
    expect((await array('p.npy')).data).toEqual([...optimizer.params]);
    const { loss } = lossAndGradientSync({ ...problem, params: optimizer.params }, THREADS);
    expect(results).toMatchObject({ batchSize: 2, finalLoss: loss });
    expect(loss).toBeLessThan(results.initialLoss);
  });

  const rows = { data: Float64Array.from({ length: 21 }, (_, i) => i), shape: [7, 3] };
  const target = { data: Int32Array.from({ length: 7 }, (_, i) => i), shape: [7] };
  const taken = (step: optim.StepData) => Array.from(step.target!.data as Int32Array);
  const passOf = (parts: Iterator<optim.StepData>, count: number) =>
    Array.from({ length: count }, () => parts.next().value as optim.StepData);

  it('a pass has each row once, in an order by the seed that differs between passes', async () => {
    const model = await Model.load(join(FIXTURES, 'signatures/shared-first.pt2'));
    const time = { data: new Float64Array([9]), shape: [1] };
    const problem = { model, params: model.initialParameters!, x: [time, rows], target };
    const parts = minibatches(problem, 3, 1);
    const passes = [passOf(parts, 3), passOf(parts, 3)];
    for (const pass of passes) {
      expect(pass.map((step) => taken(step).length)).toEqual([3, 3, 1]);
      expect(pass.flatMap(taken).sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
      for (const step of pass) {
        const [first, second] = step.x as Tensor[];
        expect(first).toBe(time);
        expect(second!.shape).toEqual([taken(step).length, 3]);
        expect([...second!.data]).toEqual(taken(step).flatMap((row) => [3 * row, 3 * row + 1, 3 * row + 2]));
      }
    }
    expect(passes[0]!.flatMap(taken)).not.toEqual(passes[1]!.flatMap(taken));
    expect(passOf(minibatches(problem, 3, 1), 3).flatMap(taken)).toEqual(passes[0]!.flatMap(taken));
    expect(passOf(minibatches(problem, 3, 2), 3).flatMap(taken)).not.toEqual(passes[0]!.flatMap(taken));
  });

  it('every order is as likely as another', async () => {
    const model = await Model.load(join(FIXTURES, 'models/mlp.pt2'));
    const three = {
      x: { data: new Float64Array(9), shape: [3, 3] },
      target: { data: Int32Array.of(0, 1, 2), shape: [3] },
    };
    const parts = minibatches({ model, params: model.initialParameters!, ...three }, 3, 0);
    const counts = new Map<string, number>();
    for (let i = 0; i < 6000; i++) {
      const order = taken(parts.next().value).join();
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    // Five standard deviations of a binomial count.
    for (const count of counts.values())
      expect(Math.abs(count - 1000)).toBeLessThan(5 * Math.sqrt(6000 * (1 / 6) * (5 / 6)));
  });

  it('rows that a model was exported to run together stay together, beside what is given once', async () => {
    const model = await Model.load(join(FIXTURES, 'signatures/fixed-grid.pt2'));
    const grid = { data: new Float64Array(6), shape: [2, 3] };
    const x = [{ data: Float64Array.from({ length: 24 }, (_, i) => i), shape: [8, 3] }, grid];
    const labels = { data: Int32Array.from({ length: 8 }, (_, i) => i), shape: [8] };
    const problem = { model, params: model.initialParameters!, x, target: labels };
    const pass = passOf(minibatches(problem, 4, 0), 2);
    expect(pass.flatMap(taken).sort()).toEqual([...labels.data]);
    for (const step of pass) {
      const [a, b, c, d] = taken(step);
      expect([a! % 2, b, c! % 2, d]).toEqual([0, a! + 1, 0, c! + 1]);
      expect((step.x as Tensor[])[1]).toBe(grid);
    }
    expect(() => minibatches(problem, 3, 0).next()).toThrow('the model runs 2 rows at a time');
  });

  it('targets of other rows are refused', async () => {
    const { train, folder } = await trainable('mlp');
    await writeFile(join(folder, 'y.npy'), npy(new Float64Array(8), [4, 2]));
    const { code, stderr } = await train('--batch-size', '2', '--out', 'p.npy');
    expect(stderr).toContain('ERR_SHAPE_MISMATCH');
    expect(code).toBe(1);
  });
});

describe('wrong usage', () => {
  const wrong: [string[], string][] = [
    [
      ['--out', 'p.npy', '--method', 'newton-cg', '--damping', '1'],
      '--damping is not for --method newton-cg, but for levenberg',
    ],
    [
      ['--out', 'p.npy', '--radius', '1'],
      '--radius is not for --method levenberg-marquardt, but for newton-cg',
    ],
    [['--out', 'p.npy', '--fisher', 'mc'], '--fisher is not for --method levenberg-marquardt'],
    [
      ['--out', 'p.npy', '--method', 'natural-gradient', '--mc-samples', '2'],
      '--mc-samples is for --fisher mc',
    ],
    [
      ['--out', 'p.npy', '--batch-size', '2', '--gradient-tolerance', '1'],
      'cannot be used with --batch-size',
    ],
    [
      ['--out', 'p.npy', '--params', 'p.npy', '--seed', '1'],
      '--seed is for --batch-size, --fisher mc, or layers',
    ],
    [['--out', 'p.npy', '--seed', '1'], '--seed is for --batch-size, --fisher mc, or layers without'],
    [
      ['--out', 'p.npy', '--method', 'newton-cg', '--radius', '2', '--max-radius', '1'],
      '--max-radius 1 is less than --radius, which is 2',
    ],
    [['--out', 'p.pt'], 'what is written is .npy, not .pt; call it p.npy'],
    [['--out', 'p.foo'], '--out p.foo: what is written is .npy or .safetensors, not .foo'],
    [['--out', 'p.npy', '--html', 'p.npy'], 'what is written is .html'],
    [['--out', 'p', '--json', 'p'], '--out and --json name the same file'],
    [[], "'--out <file>' not specified"],
  ];
  it.each(someOf(wrong))('%j', async (args, reason) => {
    const { train } = await trainable('mlp');
    const { code, stdout, stderr } = await train(...args);
    expect(stderr).toContain(reason);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it('a loss has to be given, and what it compares with', async () => {
    const { on } = await filesOf();
    for (const args of [[], ['--loss', 'mse'], ['--target', 'target.npy']]) {
      const { code, stderr } = await on('train', ...args, '--out', 'p.npy');
      expect(stderr).toContain('train needs a loss: give --loss and --target');
      expect(code).toBe(2);
    }
  });
});

const browser = chromiumPath();
it.skipIf(browser === undefined)(
  `the report shows the loss, the gradient and the damping${browser === undefined ? ' (skipped: no Chromium on PATH)' : ''}`,
  { timeout: 120_000 },
  async () => {
    const { train, folder } = await trainable('mlp');
    const reports = [
      ['newton-cg', ['--batch-size', '3']],
      ['levenberg-marquardt', []],
    ] as const;
    for (const [method, more] of someOf(reports)) {
      expect(
        (await train('--method', method, ...more, '--steps', '30', '--out', 'p.npy', '--html', 'r.html'))
          .stderr,
      ).toBe('');
      const html = await readFile(join(folder, 'r.html'), 'utf8');
      expect(html).toContain(method === 'newton-cg' ? 'Radius of the trust region' : 'Damping λ');
      await openPage(join(folder, 'r.html'), { executablePath: browser! }, async (page) => {
        for (const id of ['loss', 'gradient', 'damping'])
          expect(await coloredPixels(page, `#${id} canvas`)).toBeGreaterThan(300);
        expect(await page.locator('tbody tr').count()).toBeGreaterThan(10);
      });
    }
  },
);

it.each([
  [4, 11, [0, 1, 2, 3]],
  [11, 11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]],
  [101, 11, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]],
  [6, 4, [0, 2, 3, 5]],
])('tables of %i steps with %i rows', (count, most, expected) => {
  const values = Array.from({ length: count }, (_, i) => i);
  expect(someValues(values, most)).toEqual(expected);
});
