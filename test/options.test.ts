/**
 * Every public function refuses options that it does not know, and says which one was meant. What a function takes is read
 * from the declarations that the package ships: a new function or option is under the law without a word here.
 */
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';
import * as namespace from '../lib/index.ts';
import {
  type CustomOperator,
  Generator,
  type Layer,
  Model,
  nn,
  type Problem,
  TorchCurvatureError,
  tensor,
} from '../lib/index.ts';
import { nearestName } from '../lib/spelling.ts';
import { byCounts } from './support/counts.ts';

/** The functions by name. */
const lib = { ...namespace };

const model = Model.sequential([nn.linear(2, 3), nn.tanh(), nn.linear(3, 1)]);
const params = model.init({ seed: 0 });
const P = model.parameterCount;
const v = new Float32Array(P).fill(1);
const x = tensor(
  Float32Array.from({ length: 8 }, (_, i) => Math.sin(i)),
  [4, 2],
);
const target = tensor(new Float32Array(4), [4, 1]);
const problem: Problem = { model, params, x };
const lossProblem = { ...problem, loss: 'mse', target } as const;
const lin = lib.linearizeSync(problem);
const op = lib.gramianSync(problem);
const factors = lib.kfacSync(lossProblem);
const u = new Float32Array(4).fill(1);
const generator = new Generator(0);
const { profile } = await lib.profile(() => lib.matvecOnTheFlySync(problem, v));
const pairs = Model.sequential([nn.linear(2, 2)]);
const complexProblem: Problem = { model: pairs, params: pairs.init(), x };
const optimizer = lib.optim.newtonCG(lossProblem);
// As a launcher of one process.
Object.assign(process.env, { RANK: '0', WORLD_SIZE: '1' });
const group = await lib.initProcessGroup();
const identity: CustomOperator = { shape: [2, 2], symmetric: true, matmat: (vectors) => vectors };

afterAll(() => {
  group.dispose();
  lin.dispose();
  op.dispose();
  factors.dispose();
});

type Loose = (given: object) => unknown;
type Call = (options: never) => unknown;

/** The methods that all operators have. */
function productsOf(type: string, each: typeof op): Record<string, Call> {
  const vectors = ['matvec', 'matvecSync', 'rmatvec', 'rmatvecSync'] as const;
  const matrices = ['matmat', 'matmatSync', 'rmatmat', 'rmatmatSync'] as const;
  const wholes = ['toDense', 'toDenseSync', 'diagonal', 'diagonalSync'] as const;
  return Object.fromEntries<Call>([
    ...vectors.map((name): [string, Call] => [`${type}.${name}`, (o) => each[name](v, o)]),
    ...matrices.map((name): [string, Call] => [`${type}.${name}`, (o) => each[name](v, 1, o)]),
    ...wholes.map((name): [string, Call] => [`${type}.${name}`, (o) => each[name](o)]),
  ]);
}

/** How to call each function that takes options, with options and otherwise as it should be. */
/** Functions of a problem, and of one with a loss. */
const OF_OUTPUTS = ['gramian', 'jacobian', 'ntk'] as const;
const OF_LOSS = [
  ...(['hessian', 'gaussNewton', 'empiricalFisher', 'fisher', 'kfac', 'ekfac'] as const),
  'lossAndGradient',
] as const;

const CALLS: Record<string, Call> = {
  matvecOnTheFly: (o) => lib.matvecOnTheFly(problem, v, o),
  matvecOnTheFlySync: (o) => lib.matvecOnTheFlySync(problem, v, o),
  matvecDense: (o) => lib.matvecDense(problem, v, o),
  matvecDenseSync: (o) => lib.matvecDenseSync(problem, v, o),
  configure: (o) => lib.configure(o),
  warmUp: (o) => lib.warmUp(problem, o),
  linearize: (o) => lib.linearize(problem, o),
  linearizeSync: (o) => lib.linearizeSync(problem, o),
  'Linearization.matvec': (o) => lin.matvec(v, o),
  'Linearization.matvecSync': (o) => lin.matvecSync(v, o),
  'Linearization.jvp': (o) => lin.jvp(v, o),
  'Linearization.jvpSync': (o) => lin.jvpSync(v, o),
  'Linearization.vjp': (o) => lin.vjp(u, o),
  'Linearization.vjpSync': (o) => lin.vjpSync(u, o),
  ...productsOf('LinearOperator', op),
  ...productsOf('KroneckerOperator', factors),
  'KroneckerOperator.inverse': (o) => factors.inverse(o),
  'KroneckerOperator.inverseSync': (o) => factors.inverseSync(o),
  'KroneckerOperator.logdet': (o) => factors.logdet(o),
  'KroneckerOperator.logdetSync': (o) => factors.logdetSync(o),
  'KroneckerOperator.trace': (o) => factors.trace(o),
  'KroneckerOperator.traceSync': (o) => factors.traceSync(o),
  'KroneckerOperator.frobeniusNorm': (o) => factors.frobeniusNorm(o),
  'KroneckerOperator.frobeniusNormSync': (o) => factors.frobeniusNormSync(o),
  'KroneckerOperator.eigh': (o) => factors.eigh(o),
  'KroneckerOperator.eighSync': (o) => factors.eighSync(o),
  'Model.forward': (o) => model.forward(params, x, o),
  'Model.forwardSync': (o) => model.forwardSync(params, x, o),
  'Model.init': (o) => model.init(o),
  'Model.sequential': (o) => Model.sequential([nn.tanh()], o),
  'Model.load': (o) => Model.load(new Uint8Array(0), o),
  'Generator.randn': (o) => generator.randn([1], o),
  'Generator.uniform': (o) => generator.uniform([1], o),
  'KeyAverages.table': (o) => profile.keyAverages().table(o),
  denseOperator: (o) => lib.denseOperator(tensor(new Float32Array(4), [2, 2]), o),
  diagonalOperator: (o) => lib.diagonalOperator(v, o),
  profile: (o) => lib.profile(() => 0, o),
  bind: (o) => lib.bind(lossProblem, o),
  saveSafetensors: (o) => lib.saveSafetensors('nowhere/x.safetensors', { v }, o),
  // A generator: nothing is done, nor looked at, before its first value is asked for.
  perSample: (o) => lib.perSample(lossProblem, o).next(),
  gramianImaginary: (o) => lib.gramianImaginary(complexProblem, o),
  gramianImaginarySync: (o) => lib.gramianImaginarySync(complexProblem, o),
  cgInverse: (o) => lib.cgInverse(op, o),
  minresInverse: (o) => lib.minresInverse(op, o),
  neumannInverse: (o) => lib.neumannInverse(op, o),
  initProcessGroup: (o) => lib.initProcessGroup(o),
  distributed: (o) => lib.distributed(op, o),
  'ProcessGroup.barrier': (o) => group.barrier(o),
  'ProcessGroup.allReduce': (o) => group.allReduce(v, o),
  'ProcessGroup.allGather': (o) => group.allGather(v, o),
  'ProcessGroup.firstRow': (o) => group.firstRow(1, o),
  'ProcessGroup.close': async (o) => {
    await using own = await lib.initProcessGroup();
    await own.close(o);
  },
  'optim.levenbergMarquardt': (o) => lib.optim.levenbergMarquardt(lossProblem, o),
  'optim.naturalGradient': (o) => lib.optim.naturalGradient(lossProblem, o),
  'optim.newtonCG': (o) => lib.optim.newtonCG(lossProblem, o),
  'optim.sr': (o) => lib.optim.sr(problem, u, o),
  'optim.minSR': (o) => lib.optim.minSR(problem, u, o),
  'optim.Optimizer.step': (o) => optimizer.step(o),
  startProfile: (o) => lib.startProfile(o),
  schedule: (o) => lib.schedule(o),
  tensorboardTraceHandler: (o) => lib.tensorboardTraceHandler('traces', o),
  'Profile.keyAverages': (o) => profile.keyAverages(o),
  ...Object.fromEntries(
    OF_OUTPUTS.flatMap((name) => [
      [name, (o: never) => lib[name](problem, o)],
      [`${name}Sync`, (o: never) => lib[`${name}Sync`](problem, o)],
    ]),
  ),
  ...Object.fromEntries(
    ([...OF_LOSS, 'perSampleGradients', 'perSampleLosses'] as const).flatMap((name) => [
      [name, (o: never) => lib[name](lossProblem, o)],
      [`${name}Sync`, (o: never) => lib[`${name}Sync`](lossProblem, o)],
    ]),
  ),
  ...Object.fromEntries(
    (['cg', 'minres', 'lsmr', 'lsqr'] as const).flatMap((name) => [
      [name, (o: never) => lib[name](op, v, o)],
      [`${name}Sync`, (o: never) => lib[`${name}Sync`](op, v, o)],
    ]),
  ),
  ...Object.fromEntries(
    (
      [
        'eigsh',
        'trace',
        'diagonal',
        'spectralDensity',
        'logdet',
        'squaredFrobeniusNorm',
        'xtrace',
        'xdiag',
      ] as const
    ).flatMap((name) => [
      [name, (o: never) => lib[name](op, o)],
      [`${name}Sync`, (o: never) => lib[`${name}Sync`](op, o)],
    ]),
  ),
  'nn.linear': (o) => nn.linear(2, 2, o),
  'nn.conv1d': (o) => nn.conv1d(2, 2, 1, o),
  'nn.conv2d': (o) => nn.conv2d(2, 2, 1, o),
  'nn.embedding': (o) => nn.embedding(2, 2, o),
  'nn.layerNorm': (o) => nn.layerNorm(2, o),
  'nn.groupNorm': (o) => nn.groupNorm(2, 2, o),
  'nn.maxPool2d': (o) => nn.maxPool2d(2, o),
  'nn.avgPool2d': (o) => nn.avgPool2d(2, o),
  'nn.gelu': (o) => nn.gelu(o),
  'nn.softplus': (o) => nn.softplus(o),
  'nn.elu': (o) => nn.elu(o),
  'nn.leakyRelu': (o) => nn.leakyRelu(o),
  'nn.prelu': (o) => nn.prelu(o),
  'nn.dropout': (o) => nn.dropout(o),
  'nn.convTranspose2d': (o) => nn.convTranspose2d(2, 2, 1, o),
  'nn.batchNorm1d': (o) => nn.batchNorm1d(2, o),
  'nn.batchNorm2d': (o) => nn.batchNorm2d(2, o),
  'nn.instanceNorm': (o) => nn.instanceNorm(2, o),
  'nn.multiheadAttention': (o) => nn.multiheadAttention(2, 1, o),
  'nn.rotaryEmbedding': (o) => nn.rotaryEmbedding(2, o),
};

/** Names of the options of each public function and method, from the types of the parameters named `options`. */
function declaredOptions(): Map<string, string[]> {
  const entry = fileURLToPath(new URL('../lib/index.ts', import.meta.url));
  const config = ts.readConfigFile(
    fileURLToPath(new URL('../tsconfig.json', import.meta.url)),
    ts.sys.readFile,
  );
  const { options } = ts.convertCompilerOptionsFromJson(config.config.compilerOptions, '.');
  const program = ts.createProgram([entry], options);
  const checker = program.getTypeChecker();
  const found = new Map<string, string[]>();

  const visit = (name: string, type: ts.Type, at: ts.Node) => {
    for (const signature of type.getCallSignatures()) {
      for (const parameter of signature.getParameters()) {
        if (parameter.name !== 'options') continue;
        const given = checker.getNonNullableType(checker.getTypeOfSymbolAtLocation(parameter, at));
        const names = checker.getPropertiesOfType(given).map((property) => property.name);
        found.set(name, [...new Set([...(found.get(name) ?? []), ...names])]);
      }
    }
  };
  const isPublic = (symbol: ts.Symbol) =>
    !symbol.name.startsWith('_') &&
    !symbol.name.startsWith('#') &&
    (symbol.declarations ?? []).every(
      (each) =>
        (ts.getCombinedModifierFlags(each) & (ts.ModifierFlags.Private | ts.ModifierFlags.Protected)) === 0 &&
        !ts.getJSDocTags(each).some((tag) => tag.tagName.text === 'internal'),
    );
  const exportsOf = (symbol: ts.Symbol, prefix: string) => {
    for (const exported of checker.getExportsOfModule(symbol)) {
      const target = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      const at = target.valueDeclaration ?? target.declarations?.[0];
      if (at === undefined) continue;
      const name = `${prefix}${exported.name}`;
      if (target.flags & ts.SymbolFlags.ValueModule && ts.isSourceFile(at)) exportsOf(target, `${name}.`);
      else if (target.flags & ts.SymbolFlags.Class) {
        const instance = checker.getDeclaredTypeOfSymbol(target);
        const statics = checker.getTypeOfSymbolAtLocation(target, at);
        for (const member of [...instance.getProperties(), ...statics.getProperties()]) {
          if (!isPublic(member) || member.valueDeclaration === undefined) continue;
          if (member.valueDeclaration.getSourceFile().fileName.includes('node_modules')) continue;
          visit(`${name}.${member.name}`, checker.getTypeOfSymbolAtLocation(member, at), at);
        }
      } else if (target.flags & (ts.SymbolFlags.Function | ts.SymbolFlags.Variable)) {
        visit(name, checker.getTypeOfSymbolAtLocation(target, at), at);
      }
    }
  };
  exportsOf(checker.getSymbolAtLocation(program.getSourceFile(entry)!)!, '');
  return found;
}

const DECLARED = declaredOptions();
const CASES = Object.keys(CALLS).map((name) => [name, DECLARED.get(name) ?? []] as const);

it('knows how to call every function that takes options', () => {
  expect([...DECLARED.keys()].sort()).toEqual(Object.keys(CALLS).sort());
  for (const [name, options] of DECLARED) expect(options, name).not.toHaveLength(0);
});

async function failureOf(call: () => unknown): Promise<{ code?: string; message: string } | undefined> {
  try {
    const result = await call();
    if (typeof (result as Disposable | undefined)?.[Symbol.dispose] === 'function')
      (result as Disposable)[Symbol.dispose]();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

const snake = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** Every spelling with one slip that is no option itself, and other ways to write the same words. */
function misspellings(name: string, known: readonly string[]): string[] {
  const slips = new Set([
    snake(name),
    name.toLowerCase(),
    name.toUpperCase(),
    `${name[0]!.toUpperCase()}${name.slice(1)}`,
  ]);
  slips.add(snake(name).replaceAll('_', '-'));
  slips.add(snake(name).toUpperCase());
  for (let i = 0; i < name.length; i++) {
    const [head, letter, tail] = [name.slice(0, i), name[i]!, name.slice(i + 1)];
    slips.add(`${head}${letter}${letter}${tail}`);
    // Of a name of three letters, two could be any; of a longer one each slip still tells what was meant.
    if (name.length < 4) continue;
    slips.add(`${head}${tail}`);
    slips.add(`${head}q${tail}`);
    slips.add(`${head}${tail[0] ?? ''}${letter}${tail.slice(1)}`);
  }
  return [...slips].filter((slip) => slip !== '' && !known.includes(slip));
}

const NO_OPTIONS: readonly [string, unknown][] = [
  ['null', null],
  ['a number', 3],
  ['a string', 'cpu'],
  ['a list', []],
  ['a list of options', [{}]],
  ['a function', () => ({})],
  ['a symbol', Symbol('options')],
  ['true', true],
  ['a typed array', new Float32Array(2)],
  ['a signal', new AbortController().signal],
  ['a promise', Promise.resolve({})],
  ['a map', new Map()],
  ['a date', new Date()],
  ['an own __proto__', JSON.parse('{"__proto__": {"threads": 1}}')],
  ['a symbol for a name', { [Symbol('threads')]: 1 }],
];

/** In `npm test` without the twins on the calling thread, which have the same check. */
const TRIED = byCounts(
  CASES.filter(([name]) => !name.endsWith('Sync')),
  CASES,
);

describe.each(TRIED)('%s', (name, known) => {
  const call = CALLS[name]!;

  it('refuses each misspelt option with its name', async () => {
    for (const option of known) {
      for (const slip of misspellings(option, known)) {
        const failure = await failureOf(() => call({ [slip]: 1 } as never));
        expect(failure, slip).toBeInstanceOf(TypeError);
        expect(failure!.code).toBe('ERR_INVALID_ARGUMENT');
        expect(failure!.message).toContain(`unknown option '${slip}'`);
        // 'tol' is one slip away from 'atol' and from 'btol'.
        const near = known.filter((each) => each === option || misspellings(each, known).includes(slip));
        expect(near).toContain(/did you mean '(\w+)'\?/.exec(failure!.message)?.[1]);
      }
    }
  });

  it('knows every option of its type', async () => {
    for (const option of known) {
      const failure = await failureOf(() => call({ [option]: undefined } as never));
      expect(failure?.message ?? '', option).not.toContain('unknown option');
      // A value that fits none: what is wrong is then the value.
      const wrong = await failureOf(() => call({ [option]: Symbol('wrong') } as never));
      expect(wrong?.message ?? '', option).not.toContain('unknown option');
    }
  });

  it('refuses what is far from any name with all of them, and unknown names without a value', async () => {
    const failure = await failureOf(() => call({ xyzzyPlugh: undefined } as never));
    expect(failure).toBeInstanceOf(TypeError);
    expect(failure!.message).toContain("unknown option 'xyzzyPlugh'");
    for (const option of known) expect(failure!.message).toContain(option);
  });

  it('refuses what is no record of options', async () => {
    for (const [what, options] of NO_OPTIONS) {
      const failure = await failureOf(() => call(options as never));
      expect(failure, what).toBeInstanceOf(TypeError);
      expect(failure!.code, what).toBe('ERR_INVALID_ARGUMENT');
    }
  });

  it('reads each option once', async () => {
    for (const option of known) {
      let reads = 0;
      const options = Object.defineProperty({}, option, {
        enumerable: true,
        get() {
          reads += 1;
          return undefined;
        },
      });
      await failureOf(() => call(options as never));
      expect(reads, option).toBe(1);
    }
  });

  it('takes options from an instance of a class, and hidden properties for nothing', async () => {
    class Settings {
      helper() {}
    }
    const options = Object.assign(new Settings(), { [known[0]!]: undefined });
    Object.defineProperty(options, 'cache', { value: 1, enumerable: false });
    const inherited = Object.create(options);
    for (const given of [options, inherited]) {
      const failure = await failureOf(() => call(given as never));
      expect(failure?.message ?? '').not.toMatch(/unknown option|should be an object/);
    }
  });
});

describe('problems', () => {
  const products = (given: object): [string, () => unknown][] => [
    ['matvecOnTheFly', () => lib.matvecOnTheFly(given as never, v)],
    ['matvecOnTheFlySync', () => lib.matvecOnTheFlySync(given as never, v)],
    ['matvecDense', () => lib.matvecDense(given as never, v)],
    ['matvecDenseSync', () => lib.matvecDenseSync(given as never, v)],
    ['linearize', () => lib.linearize(given as never)],
    ['linearizeSync', () => lib.linearizeSync(given as never)],
    ...([...OF_OUTPUTS, ...OF_LOSS] as const).flatMap((name): [string, () => unknown][] => [
      [name, () => (lib[name] as Loose)(given)],
      [`${name}Sync`, () => (lib[`${name}Sync`] as Loose)(given)],
    ]),
  ];

  it.each([
    ['targets', 'target'],
    ['labels', 'target'],
    ['y', 'target'],
    ['lossFn', 'loss'],
    ['loss_fn', 'loss'],
    ['criterion', 'loss'],
    ['parameters', 'params'],
    ['inputs', 'x'],
    ['reductoin', 'reduction'],
    ['Model', 'model'],
  ])('with %s are refused', async (wrong, right) => {
    for (const [name, call] of products({ ...lossProblem, [wrong]: undefined })) {
      const failure = await failureOf(call);
      expect(failure, name).toBeInstanceOf(TypeError);
      expect(failure!.message).toContain(`unknown option '${wrong}' of problem; did you mean '${right}'?`);
    }
  });

  it('with a loss serve every product', async () => {
    for (const [name, call] of products(lossProblem)) expect(await failureOf(call), name).toBeUndefined();
  });

  it('may be instances of classes', async () => {
    class Fit {
      model = model;
      params = params;
      loss = 'mse';
      target = target;
      get x() {
        return x;
      }
      step() {}
    }
    for (const [name, call] of products(new Fit())) expect(await failureOf(call), name).toBeUndefined();
  });

  it('as streams, and their batches, are under the same law', async () => {
    const stream = { model, params, batches: [{ x, target }], loss: 'mse' } as const;
    const asynchronous = [
      (given: object) => lib.matvecOnTheFly(given as never, v),
      ...(
        [
          'gramian',
          'hessian',
          'gaussNewton',
          'empiricalFisher',
          'fisher',
          'kfac',
          'ekfac',
          'lossAndGradient',
        ] as const
      ).map((name) => (given: object) => (lib[name] as Loose)(given)),
    ];
    for (const call of asynchronous) {
      expect(await failureOf(() => call(stream))).toBeUndefined();
      expect((await failureOf(() => call({ ...stream, lossFn: 1 })))?.message).toContain(
        "did you mean 'loss'?",
      );
      const batches = [{ x, targets: target }];
      expect((await failureOf(() => call({ ...stream, batches })))?.message).toContain(
        "did you mean 'target'?",
      );
    }
    for (const call of [
      () => lib.matvecDenseSync(stream as never, v),
      () => lib.linearizeSync(stream as never),
      () => lib.gramianSync(stream as never),
      () => lib.hessianSync(stream as never),
    ]) {
      expect((await failureOf(call))?.message).toMatch(/problem.batches/);
    }
  });
});

it.each<[string, () => unknown]>([
  [
    'loadSafetensors',
    () => (lib.loadSafetensors as (...args: unknown[]) => unknown)(new Uint8Array(0), { dtype: 'float32' }),
  ],
  ['submatrix', () => (op.submatrix as (...args: unknown[]) => unknown)(['*'], { rows: true })],
  ['dampRelative', () => (op.dampRelative as (...args: unknown[]) => unknown)(1, { relative: true })],
  ['keyAverages', () => (profile.keyAverages as (...args: unknown[]) => unknown)({ groupBy: 'stack' })],
  ['exportChromeTrace', () => (profile.exportChromeTrace as (...args: unknown[]) => unknown)('/nowhere', {})],
  [
    'recordFunction',
    () => (lib.recordFunction as (...args: unknown[]) => unknown)('a', () => 1, { args: 1 }),
  ],
  ['checkDeterministic', () => (lib.checkDeterministic as (...args: unknown[]) => unknown)(op, { tol: 1 })],
  ['Model.sequential', () => (Model.sequential as (...args: unknown[]) => unknown)([nn.tanh()], { seed: 1 })],
  ['customOperator', () => (lib.customOperator as (...args: unknown[]) => unknown)(identity, { k: 1 })],
  ['nn.relu', () => (nn.relu as (...args: unknown[]) => Layer)({ inplace: true })],
  ['nn.residual', () => (nn.residual as (...args: unknown[]) => Layer)([nn.tanh()], { scale: 2 })],
])('%s takes no options that it does not have', async (_, call) => {
  const failure = await failureOf(call);
  expect(failure).toBeInstanceOf(TypeError);
  expect(failure!.message).toMatch(/option/);
});

it('customOperator knows its fields, and leaves instances of classes their own state', () => {
  expect(() => lib.customOperator({ ...identity, symetric: true } as never)).toThrow(
    /did you mean 'symmetric'/,
  );
  class Diagonal {
    readonly shape = [2, 2] as const;
    readonly entries = [1, 2];
    matmat(vectors: Float32Array) {
      return vectors.map((each, i) => each * this.entries[i % 2]!);
    }
  }
  lib.customOperator(new Diagonal() as CustomOperator).dispose();
});

it.each([
  ['maxiter', 'cg', 'maxIterations'],
  ['maxiter', 'spectralDensity', 'steps'],
  ['tol', 'cg', 'tolerance'],
  ['rtol', 'minres', 'tolerance'],
  ['callback', 'cg', 'onIteration'],
  ['M', 'cg', 'preconditioner'],
  ['num_eigenvalues', 'eigsh', 'k'],
  ['ncv', 'eigsh', 'basis'],
  ['num_samples', 'trace', 'samples'],
  ['num_samples', 'fisher', 'mcSamples'],
  ['batch_size', 'matvecOnTheFly', 'chunkSize'],
  ['num_threads', 'linearize', 'threads'],
  ['devce', 'linearize', 'device'],
  ['centre', 'gramian', 'center'],
  ['weight', 'gaussNewton', 'weights'],
  ['sort_by', 'KeyAverages.table', 'sortBy'],
  ['chunksize', 'hessian', 'chunkSize'],
  ['manual_seed', 'Model.init', 'seed'],
])('%s of %s is %s here', async (word, name, option) => {
  const failure = await failureOf(() => CALLS[name]!({ [word]: 1 } as never));
  expect(failure?.message).toBe(`unknown option '${word}'; did you mean '${option}'?`);
});

it('does not guess where nothing is near', () => {
  expect(nearestName('labelSmoothing', ['model', 'params', 'x', 'loss'])).toBeUndefined();
  expect(nearestName('x'.repeat(1e6), ['x'])).toBeUndefined();
  expect(nearestName('constructor', ['center'])).toBeUndefined();
  expect(new TorchCurvatureError('ERR_LIBTORCH', '')).toBeInstanceOf(Error);
});
