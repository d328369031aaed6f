/** A valid call of each thing, which the fuzzer's calls are nearly. */
import * as tc from 'torch-curvature';

const model = tc.Model.sequential([tc.nn.linear(2, 2), tc.nn.tanh(), tc.nn.linear(2, 1)]);
/** Its outputs are pairs. */
const pairs = tc.Model.sequential([tc.nn.linear(2, 2)]);
/** Its parameters would not fit any memory. */
const huge = tc.Model.sequential([tc.nn.linear(2 ** 22, 2 ** 22)]);
const P = model.parameterCount;
const ROWS = 2;

const floats = (length: number) => Float32Array.from({ length }, (_, i) => Math.cos(i + 1));
const x = () => ({ data: floats(2 * ROWS), shape: [ROWS, 2] });
const target = () => ({ data: floats(ROWS), shape: [ROWS, 1] });
const problem = () => ({ model, params: floats(P), x: x() });
const lossProblem = () => ({ ...problem(), target: target(), loss: 'mse', reduction: 'mean' });
const streamed = () => ({
  model,
  params: floats(P),
  batches: [{ x: x(), target: target(), weights: floats(ROWS).map(Math.abs) }],
  loss: 'mse',
});
const unweighted = () => ({ ...streamed(), batches: [{ x: x(), target: target() }] });
const signal = () => new AbortController().signal;
const apply = () => ({ threads: 1, signal: signal() });
const product = () => ({ ...apply(), device: 'cpu', chunkSize: 2, engine: 'auto', out: floats(P) });
const how = () => ({
  ...apply(),
  device: 'cpu',
  chunkSize: 2,
  memoryBudget: 2 ** 20,
  products: 2,
  engine: 'auto',
});
const weighted = () => ({ ...how(), weights: floats(ROWS).map(Math.abs) });
const centered = () => ({ ...weighted(), center: true });
const matrix = () => ({ data: Float32Array.of(2, 1, 0, 1, 3, 1, 0, 1, 4), shape: [3, 3] });
const operator = () => tc.denseOperator(matrix(), { symmetric: true });
const custom = () => ({
  shape: [3, 3] as [number, number],
  dtype: 'float32' as const,
  device: 'cpu',
  symmetric: true,
  matmat: (vectors: tc.FloatArray) => vectors,
  rmatmat: (vectors: tc.FloatArray) => Promise.resolve(vectors),
});
const solver = () => ({
  ...apply(),
  tolerance: 1e-3,
  maxIterations: 5,
  preconditioner: floats(3).map(Math.abs),
  x0: floats(3),
  k: 1,
  onIteration: () => true,
});
const descent = () => ({ damping: 0.1, tolerance: 1e-3, maxIterations: 5, threads: 1, engine: 'auto' });
const least = () => ({
  ...apply(),
  damp: 0.1,
  atol: 1e-3,
  btol: 1e-3,
  conlim: 1e6,
  maxIterations: 5,
  x0: floats(3),
  onIteration: () => true,
});
const inverse = () => ({
  tolerance: 1e-3,
  maxIterations: 5,
  preconditioner: floats(3).map(Math.abs),
  strict: true,
});
const convolution = () => ({ stride: 1, padding: 0, dilation: 1, groups: 1, bias: true });
const buffers = () => ({ '0.running_mean': floats(2), '0.running_var': floats(2).map(Math.abs) });
const header = Buffer.from('{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
const safetensors = () => Uint8Array.of(header.length, 0, 0, 0, 0, 0, 0, 0, ...header, 0, 0, 128, 63);
const npy = () => {
  const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }";
  return Uint8Array.of(
    0x93,
    ...Buffer.from('NUMPY'),
    1,
    0,
    text.length,
    0,
    ...Buffer.from(text),
    0,
    0,
    128,
    63,
  );
};
const profiled = () => ({
  activities: ['cpu'],
  recordShapes: true,
  profileMemory: true,
  withFlops: true,
  schedule: tc.schedule({ active: 1 }),
  onTraceReady: () => {},
});
const layers = () => [
  tc.nn.linear(2, 2),
  { kind: 'own', emit: (scope: Scope, y: unknown) => scope.call('aten::tanh', y) },
];
interface Scope {
  call(target: string, ...args: unknown[]): unknown;
}

/** Arguments by the name of the entry, that of the asynchronous one for both; several where there are several ways. */
const ARGUMENTS: Readonly<Record<string, (() => unknown[])[]>> = {
  tensor: [() => [floats(4), [2, 2]]],
  linearize: [() => [problem(), how()]],
  loadSafetensors: [() => [safetensors(), { maxBytes: 1000 }], () => ['nowhere.safetensors']],
  loadNpy: [() => [npy(), { maxBytes: 1000 }], () => ['nowhere.npy']],
  // No file of a fuzzer's making should come to be: there is no such folder.
  saveNpy: [() => ['nowhere/x.npy', floats(2)], () => ['nowhere/x.npy', x()]],
  saveSafetensors: [() => ['nowhere/x.safetensors', { w: x() }, { model, metadata: { by: 'fuzzer' } }]],
  customOperator: [() => [custom()]],
  denseOperator: [() => [matrix(), { symmetric: true, device: 'cpu' }]],
  diagonalOperator: [() => [floats(3), { device: 'cpu' }]],
  checkDeterministic: [() => [operator()]],
  matvecOnTheFly: [() => [problem(), floats(P), product()], () => [unweighted(), floats(P), product()]],
  matvecDense: [() => [problem(), floats(P), { ...product(), strategy: 'gram' }]],
  gramian: [() => [problem(), centered()], () => [streamed(), { ...how(), center: true }]],
  jacobian: [() => [problem(), centered()], () => [streamed(), { ...how(), center: true }]],
  ntk: [
    () => [problem(), centered()],
    () => [streamed(), { ...how(), center: true }],
    () => [problem(), { ...how(), x2: x(), trace: true }],
  ],
  gramianImaginary: [() => [{ ...problem(), model: pairs, params: floats(6) }, centered()]],
  perSampleGradients: [() => [lossProblem(), weighted()], () => [streamed(), how()]],
  perSampleLosses: [() => [lossProblem(), weighted()], () => [streamed(), how()]],
  perSample: [() => [lossProblem(), { ...weighted(), rows: 1 }], () => [streamed(), how()]],
  hessian: [() => [lossProblem(), weighted()], () => [streamed(), how()]],
  gaussNewton: [
    () => [lossProblem(), weighted()],
    () => [{ ...lossProblem(), loss: { name: 'huber', delta: 0.5 }, l2: { weight: 0.1, parameters: '*' } }],
    () => [streamed(), how()],
  ],
  empiricalFisher: [() => [lossProblem(), { ...centered(), per: 'row' }], () => [streamed(), how()]],
  fisher: [() => [lossProblem(), { ...centered(), per: 'datum', mcSamples: 2, seed: 1n, firstRow: 3 }]],
  kfac: [
    () => [lossProblem(), { ...weighted(), fisher: 'mc', approximation: 'reduce', mcSamples: 2, seed: 1n }],
    () => [streamed(), { ...how(), others: 'block', per: 'row' }],
  ],
  ekfac: [
    () => [lossProblem(), { ...weighted(), fisher: 'empirical', per: 'datum' }],
    () => [streamed(), how()],
  ],
  lossAndGradient: [() => [lossProblem(), weighted()], () => [streamed(), how()]],
  // With more ranks it would wait for them; without an address, it refuses to.
  initProcessGroup: [() => [{ rank: 0, worldSize: 1, backend: 'gloo', timeout: 1000, signal: signal() }]],
  distributed: [() => [operator(), {}]],
  cg: [() => [operator(), floats(3), solver()]],
  'optim.levenbergMarquardt': [() => [lossProblem(), descent()]],
  'optim.naturalGradient': [() => [lossProblem(), { ...descent(), fisher: 'mc', mcSamples: 2 }]],
  'optim.newtonCG': [() => [lossProblem(), { radius: 1, maxRadius: 10, maxIterations: 3 }]],
  'optim.sr': [
    () => [problem(), target(), { ...weighted(), damping: 0.1, tolerance: 1e-3, maxIterations: 5 }],
  ],
  'optim.minSR': [() => [problem(), floats(ROWS), { ...weighted(), damping: 0.1 }]],
  minres: [() => [operator(), floats(3), solver()]],
  bind: [() => [lossProblem(), { device: 'cpu', signal: signal() }]],
  lsmr: [() => [operator(), floats(3), least()]],
  lsqr: [() => [operator(), floats(3), least()]],
  cgInverse: [() => [operator(), inverse()]],
  minresInverse: [() => [operator(), inverse()]],
  neumannInverse: [() => [operator(), { terms: 3, scale: 0.1 }]],
  logdet: [
    () => [operator(), { ...apply(), method: 'slq', probes: 2, steps: 2, seed: 0 }],
    () => [operator(), { method: 'exact' }],
  ],
  xtrace: [() => [operator(), { ...apply(), samples: 5, seed: 0 }]],
  xdiag: [() => [operator(), { ...apply(), samples: 5, seed: 0 }]],
  squaredFrobeniusNorm: [() => [operator(), { ...apply(), samples: 5, seed: 0 }]],
  eigsh: [
    () => [
      operator(),
      { ...apply(), k: 2, which: 'LA', tolerance: 1e-3, maxIterations: 20, basis: 3, seed: 0 },
    ],
  ],
  trace: [() => [operator(), { ...apply(), method: 'hutch++', samples: 5, seed: 0 }]],
  diagonal: [() => [operator(), { ...apply(), samples: 5, seed: 0 }]],
  spectralDensity: [
    () => [operator(), { ...apply(), probes: 2, steps: 3, gridPoints: 8, margin: 0.1, sigma: 0.2, seed: 0 }],
  ],
  configure: [() => [{ concurrency: 1, maxQueue: 4, memoryLimit: 2 ** 30, threads: 1 }]],
  warmUp: [() => [problem(), { ...apply(), device: 'cpu', engine: 'auto' }]],
  profile: [() => [() => 1, profiled()]],
  startProfile: [() => [profiled()]],
  recordFunction: [() => ['region', () => 1]],
  schedule: [() => [{ wait: 1, warmup: 1, active: 2, repeat: 1, skipFirst: 1 }]],
  tensorboardTraceHandler: [() => ['traces', { workerName: 'worker', useGzip: true }]],
  'nn.linear': [() => [2, 3, { bias: true }]],
  'nn.conv1d': [() => [2, 3, 3, convolution()]],
  'nn.conv2d': [() => [2, 3, [3, 3], convolution()]],
  'nn.convTranspose2d': [() => [2, 3, [3, 3], { ...convolution(), outputPadding: 0 }]],
  'nn.batchNorm1d': [() => [2, { eps: 1e-5, affine: true }]],
  'nn.batchNorm2d': [() => [2, { eps: 1e-5, affine: true }]],
  'nn.instanceNorm': [() => [2, { eps: 1e-5, affine: true }]],
  'nn.multiheadAttention': [() => [4, 2, { bias: true, causal: true }]],
  'nn.positionalEmbedding': [() => [5, 2]],
  'nn.rotaryEmbedding': [() => [2, { base: 100, positions: 5 }]],
  'nn.adaptiveAvgPool2d': [() => [[2, 2]]],
  'nn.prelu': [() => [{ parameters: 2, init: 0.1 }]],
  'nn.dropout': [() => [{ p: 0.1 }]],
  'nn.embedding': [() => [5, 2, {}]],
  'nn.layerNorm': [() => [[2], { eps: 1e-5, elementwiseAffine: true }]],
  'nn.groupNorm': [() => [1, 2, { eps: 1e-5, affine: true }]],
  'nn.avgPool2d': [() => [2, { stride: 1, padding: 0 }]],
  'nn.maxPool2d': [() => [[2, 2], { stride: 1, padding: 0, dilation: 1 }]],
  'nn.flatten': [() => [1], () => []],
  ...Object.fromEntries(
    ['tanh', 'relu', 'silu', 'mish', 'hardswish', 'sigmoid'].map((name) => [`nn.${name}`, [() => []]]),
  ),
  'nn.gelu': [() => [{ approximate: 'tanh' }]],
  'nn.softplus': [() => [{ beta: 1, threshold: 20 }]],
  'nn.elu': [() => [{ alpha: 1 }]],
  'nn.leakyRelu': [() => [{ negativeSlope: 0.1 }]],
  'nn.residual': [() => [layers()]],
  'nn.softmax': [() => [1]],
  'nn.logSoftmax': [() => [1]],
  'nn.squeeze': [() => [1]],
  'nn.unsqueeze': [() => [1]],
  'new Generator': [() => [1n]],
  'new TorchCurvatureError': [() => ['ERR_SHAPE_MISMATCH', 'message', {}]],
  'Model.sequential': [() => [layers()], () => [[tc.nn.batchNorm1d(2)], { buffers: buffers() }]],
  'Model.load': [
    () => [safetensors(), { trusted: true, maxBytes: 1000, maxNodes: 10, maxMemory: 10000, maxNesting: 9 }],
    () => ['nowhere.pt2', {}],
  ],
  'Model.prototype.init': [() => [{ seed: 1, dtype: 'float64', generator: new tc.Generator(1) }]],
  'Model.prototype.flatten': [() => [model.unflatten(floats(P))]],
  'Model.prototype.unflatten': [() => [floats(P)]],
  'Model.prototype.forward': [() => [floats(P), x(), { ...product(), out: floats(ROWS) }]],
  'Generator.prototype.randn': [() => [[2, 2], { dtype: 'float64' }]],
  'Generator.prototype.uniform': [() => [[2], { low: -1, high: 1, dtype: 'float32' }]],
  'Linearization.prototype.matvec': [
    () => [floats(P), { ...apply(), out: floats(P) }],
    () => [model.unflatten(floats(P))],
  ],
  'Linearization.prototype.jvp': [() => [floats(P), { ...apply(), out: floats(ROWS) }]],
  'Linearization.prototype.vjp': [() => [floats(ROWS), { ...apply(), out: floats(P) }], () => [target()]],
  'LinearOperator.prototype.matvec': [() => [floats(3), { ...apply(), out: floats(3) }]],
  'LinearOperator.prototype.rmatvec': [() => [floats(3), { ...apply(), out: floats(3) }]],
  'LinearOperator.prototype.matmat': [() => [floats(6), 2, { ...apply(), out: floats(6) }]],
  'LinearOperator.prototype.rmatmat': [() => [floats(6), 2, { ...apply(), out: floats(6) }]],
  'LinearOperator.prototype.toDense': [() => [apply()]],
  'LinearOperator.prototype.diagonal': [() => [apply()]],
  'LinearOperator.prototype.add': [() => [operator()]],
  'LinearOperator.prototype.multiply': [() => [operator()]],
  'LinearOperator.prototype.scale': [() => [2]],
  'LinearOperator.prototype.damp': [() => [2]],
  'LinearOperator.prototype.dampRelative': [() => [0.5]],
  'LinearOperator.prototype.submatrix': [() => [['0.*', '2.bias']], () => [[0, 2], [1]]],
  'LinearOperator.prototype.divide': [() => [2]],
  'KroneckerOperator.prototype.matvec': [() => [floats(P), { ...apply(), out: floats(P) }]],
  'KroneckerOperator.prototype.rmatvec': [() => [floats(P), { ...apply(), out: floats(P) }]],
  'KroneckerOperator.prototype.matmat': [() => [floats(2 * P), 2, { ...apply(), out: floats(2 * P) }]],
  'KroneckerOperator.prototype.rmatmat': [() => [floats(2 * P), 2, { ...apply(), out: floats(2 * P) }]],
  'KroneckerOperator.prototype.add': [() => [tc.kfacSync(lossProblem() as never)]],
  'KroneckerOperator.prototype.multiply': [() => [tc.kfacSync(lossProblem() as never)]],
  'KroneckerOperator.prototype.inverse': [() => [{ ...apply(), damping: 0.1, method: 'pi' }]],
  'KroneckerOperator.prototype.logdet': [() => [{ ...apply(), damping: 0.1 }]],
  'KroneckerOperator.prototype.trace': [() => [apply()]],
  'KroneckerOperator.prototype.frobeniusNorm': [() => [apply()]],
  'KroneckerOperator.prototype.eigh': [() => [apply()]],
  'ProcessGroup.prototype.barrier': [() => [{ signal: signal() }]],
  'ProcessGroup.prototype.allReduce': [() => [floats(3), { signal: signal() }]],
  'ProcessGroup.prototype.allGather': [() => [floats(3), { signal: signal() }]],
  'ProcessGroup.prototype.firstRow': [() => [2, { signal: signal() }]],
  'ProcessGroup.prototype.close': [() => [{ signal: signal() }]],
  'BoundProblem.prototype.at': [() => [floats(P)], () => [model.unflatten(floats(P))]],
  'Optimizer.prototype.step': [() => [{ x: x(), target: target(), signal: signal() }], () => []],
  'KeyAverages.prototype.table': [() => [{ sortBy: 'count', rowLimit: 3 }]],
  'Profile.prototype.keyAverages': [() => [{ groupByInputShape: false }]],
  'Profile.prototype.exportChromeTrace': [() => ['trace.json']],
};

/** Objects to call methods on, by class; of operators several, which are computed in different places. */
export const MAKERS: Readonly<Record<string, readonly (() => object | Promise<object>)[]>> = {
  Model: [() => model, () => huge],
  Generator: [() => new tc.Generator(1)],
  Linearization: [() => tc.linearizeSync(problem())],
  LinearOperator: [
    operator,
    () => tc.customOperator(custom()),
    () => tc.gramianSync(problem()),
    () => tc.jacobianSync(problem()),
    () => tc.customOperator({ shape: [1, 2 ** 50], matmat: (vectors) => vectors }),
  ],
  KroneckerOperator: [() => tc.kfacSync(lossProblem() as never), () => tc.ekfacSync(lossProblem() as never)],
  ProcessGroup: [() => tc.initProcessGroup({ rank: 0, worldSize: 1 })],
  BoundProblem: [() => tc.bind(lossProblem() as never)],
  HeldTensor: [async () => (await tc.bind(problem())).at(floats(P)).x as object],
  Optimizer: [
    () => tc.optim.levenbergMarquardt(lossProblem() as never, descent() as never),
    () => tc.optim.naturalGradient(lossProblem() as never),
    () => tc.optim.newtonCG(lossProblem() as never),
  ],
  Profiler: [() => tc.startProfile()],
  Profile: [() => recorded],
  KeyAverages: [() => recorded.keyAverages()],
};

const recorded = record();

function record() {
  using profiler = tc.startProfile();
  tc.matvecOnTheFlySync(problem(), floats(P));
  return profiler.stop();
}

/** Valid arguments for an entry; of another one for what is not known here. */
export function argumentsOf(name: string, way: number): unknown[] {
  const asynchronous = name.replace(/Sync$/, '');
  // Those of its own, or else those that it inherits.
  const known =
    ARGUMENTS[name] ??
    ARGUMENTS[asynchronous] ??
    ARGUMENTS[asynchronous.replace(/^KroneckerOperator/, 'LinearOperator')];
  const ways = known ?? Object.values(ARGUMENTS)[way % Object.keys(ARGUMENTS).length]!;
  return ways[way % ways.length]!();
}
