/**
 * What the public types promise, for every export. Nothing here runs: `tsc` checks it against the sources, and
 * `types.test.ts` against the declarations that the package ships.
 */
import type * as api from 'torch-curvature';
import { expectTypeOf } from 'vitest';

type Api = typeof api;
/** What results are: over an `ArrayBuffer` of their own. */
type F32 = Float32Array<ArrayBuffer>;
type F64 = Float64Array<ArrayBuffer>;
type Either = F32 | F64;

declare const tc: Api;
declare const model: api.Model<Float32Array>;
declare const f32: F32, f64: F64, any: api.FloatArray;
/** Over memory that may be shared. */
declare const wide32: Float32Array, shared32: Float32Array<SharedArrayBuffer>;
declare const x: api.Tensor, target: api.Tensor;

const single = { model, params: f32, x };
const double = { model, params: f64, x };
const named = { model, params: { '0.weight': f32 }, x };
const untold = { model, params: any, x };
/** What `loadSafetensors` gives. */
const fromFile = { model, params: {} as Record<string, api.TypedArray>, x };
/** Of which the compiler knows that `loss` is a string. */
const loss32 = { ...single, target, loss: 'mse', reduction: 'sum' };
const loss64 = { ...double, target, loss: 'mse' };
const stream32 = { model, params: f32, batches: [{ x, target }], loss: 'mse' };

declare const op32: api.LinearOperator<Float32Array>,
  op64: api.LinearOperator<Float64Array>,
  op: api.LinearOperator;
declare const lin32: api.Linearization<Float32Array>;

type Operator<F extends api.FloatArray> = api.LinearOperator<F>;

/** Of the four products of a problem with a vector. */
async function products(product: Api['matvecOnTheFly'], sync: Api['matvecDenseSync']) {
  expectTypeOf(await product(single, f32)).toEqualTypeOf<F32>();
  expectTypeOf(await product(double, f64)).toEqualTypeOf<F64>();
  expectTypeOf(await product(named, { '0.weight': f32 })).toEqualTypeOf<F32>();
  expectTypeOf(await product(untold, any)).toEqualTypeOf<Either>();
  expectTypeOf(await product(fromFile, any)).toEqualTypeOf<Either>();
  expectTypeOf(await product(stream32, f32)).toEqualTypeOf<F32>();
  expectTypeOf(await product(loss32, wide32, { chunkSize: 2 })).toEqualTypeOf<F32>();
  expectTypeOf(await product(single, f32, { out: f32 })).toEqualTypeOf<F32>();
  expectTypeOf(await product(single, f32, { out: shared32 })).toEqualTypeOf<
    Float32Array<SharedArrayBuffer>
  >();
  expectTypeOf(sync(single, f32)).toEqualTypeOf<F32>();
  expectTypeOf(sync(single, f32, { out: wide32 })).toEqualTypeOf<Float32Array>();
  // @ts-expect-error a vector of the other precision
  product(single, f64);
  // @ts-expect-error out of the other precision
  product(single, f32, { out: f64 });
  // @ts-expect-error unknown option
  product(single, f32, { chunksize: 2 });
}

/** Of a factory that takes a problem or a linearization, and its twin. */
async function ofModel(factory: Api['gramian'], sync: Api['gramianSync']) {
  expectTypeOf(await factory(single)).toEqualTypeOf<Operator<Float32Array>>();
  expectTypeOf(await factory(stream32, { center: true })).toEqualTypeOf<Operator<Float32Array>>();
  expectTypeOf(await factory(lin32)).toEqualTypeOf<Operator<Float32Array>>();
  expectTypeOf(await factory(untold)).toEqualTypeOf<api.LinearOperator>();
  expectTypeOf(sync(double, { weights: f64 })).toEqualTypeOf<Operator<Float64Array>>();
}

/** Of a factory that takes a problem with a loss, and its twin. */
async function ofLoss(factory: Api['hessian'], sync: Api['hessianSync']) {
  expectTypeOf(await factory(loss32)).toEqualTypeOf<Operator<Float32Array>>();
  expectTypeOf(await factory(stream32)).toEqualTypeOf<Operator<Float32Array>>();
  expectTypeOf(await factory({ ...double, target, loss: 'mse' })).toEqualTypeOf<Operator<Float64Array>>();
  expectTypeOf(sync({} as api.LossProblem)).toEqualTypeOf<api.LinearOperator>();
  const options = {
    ...double,
    target,
    loss: { name: 'cross_entropy', weight: f64, ignoreIndex: 0 },
    l2: 1e-4,
  };
  expectTypeOf(await factory(options)).toEqualTypeOf<Operator<Float64Array>>();
  sync({
    ...single,
    target,
    loss: { name: 'gaussian_nll', variance: 2 },
    l2: { weight: 1, parameters: '*' },
  });
  // @ts-expect-error no option of this loss
  sync({ ...single, target, loss: { name: 'mse', delta: 1 } });
  // @ts-expect-error no such loss
  sync({ ...single, target, loss: { name: 'mze' } });
  // @ts-expect-error no such loss
  sync({ ...single, target, loss: 'mze' });
  // @ts-expect-error no such reduction
  sync({ ...single, target, loss: 'mse', reduction: 'max' });
  sync({ ...single, loss: 'output' });
  sync({ ...single, target, loss: model });
  expectTypeOf(await factory({ ...double, target, loss: { model, sampler: model } })).toEqualTypeOf<
    Operator<Float64Array>
  >();
}

/** Of a factory of Kronecker factors, and its twin. */
async function factored(factory: Api['kfac'], sync: Api['kfacSync']) {
  expectTypeOf(await factory(loss32)).toEqualTypeOf<api.KroneckerOperator<Float32Array>>();
  expectTypeOf(await factory(stream32)).toEqualTypeOf<api.KroneckerOperator<Float32Array>>();
  expectTypeOf(sync({} as api.LossProblem)).toEqualTypeOf<api.KroneckerOperator>();
  // @ts-expect-error no such kind
  sync(loss32, { fisher: 'exact' });
}

async function solver(solve: Api['cg'], sync: Api['cgSync']) {
  expectTypeOf(await solve(op32, f32)).toEqualTypeOf<api.LinearSolution<Float32Array>>();
  expectTypeOf((await solve(op32, wide32, { preconditioner: op32, x0: f32 })).x).toEqualTypeOf<F32>();
  expectTypeOf(sync(op64, { '0.weight': f64 }, { preconditioner: f64 }).x).toEqualTypeOf<F64>();
  expectTypeOf(sync(op, any).x).toEqualTypeOf<Either>();
  expectTypeOf(sync(op, any).reason).toEqualTypeOf<api.SolverReason>();
  expectTypeOf(sync(op, any).records).toEqualTypeOf<api.SolverRecord[]>();
  // @ts-expect-error a right-hand side of the other precision
  solve(op32, f64);
  // @ts-expect-error a preconditioner of the other precision
  solve(op32, f32, { preconditioner: op64 });
}

/** Code for either precision: what one function gives, others take. */
export async function generic<F extends api.FloatArray>(
  problem: api.LossProblem<F>,
  v: api.ParameterVector<F>,
) {
  const { gradient } = await tc.lossAndGradient(problem);
  const operator = (await tc.hessian(problem)).damp(1);
  const preconditioner = await (await tc.kfac(problem)).inverse();
  for (const solve of [tc.cg, tc.minres]) {
    const { x } = await solve(operator, gradient, { preconditioner });
    solve(operator, x);
    operator.matvecSync(x);
  }
  tc.lsqrSync(operator, tc.lossAndGradientSync(problem).gradient);
  tc.cgInverse(operator, { preconditioner }).matvec(await operator.diagonal());
  const lin = await tc.linearize(problem);
  const product = await tc.matvecOnTheFly(problem, v);
  const twice: api.ResultArray<api.ArrayKind<F>> = lin.matvecSync(product);
  operator.rmatvecSync(twice);
  tc.lsmr(await tc.perSampleGradients(problem), await tc.perSampleLosses(problem));
  // @ts-expect-error of one precision alone
  operator.matvec(f32);
}

/** An entry for each value that the package exports (`default` is how Node.js sees CommonJS from an ES module). */
export const values: { [Name in Exclude<keyof Api, 'default'>]: () => unknown } = {
  matvecOnTheFly: () => products(tc.matvecOnTheFly, tc.matvecOnTheFlySync),
  matvecOnTheFlySync: () => products(tc.matvecOnTheFly, tc.matvecOnTheFlySync),
  matvecDense: () => products(tc.matvecDense, tc.matvecDenseSync),
  matvecDenseSync: () =>
    expectTypeOf(tc.matvecDenseSync(single, f32, { strategy: 'gram' })).toEqualTypeOf<F32>(),
  linearize: async () => {
    const lin = await tc.linearize(single);
    expectTypeOf(lin).toEqualTypeOf<api.Linearization<Float32Array>>();
    expectTypeOf(await tc.linearize(untold)).toEqualTypeOf<api.Linearization>();
  },
  linearizeSync: () =>
    expectTypeOf(tc.linearizeSync(double)).toEqualTypeOf<api.Linearization<Float64Array>>(),
  Linearization: async () => {
    expectTypeOf(lin32.output).toEqualTypeOf<api.Tensor<F32>>();
    expectTypeOf(await lin32.matvec(f32)).toEqualTypeOf<F32>();
    expectTypeOf(await lin32.jvp({ '0.weight': f32 })).toEqualTypeOf<api.Tensor<F32>>();
    expectTypeOf(lin32.jvpSync(f32, { out: shared32 }).data).toEqualTypeOf<Float32Array<SharedArrayBuffer>>();
    expectTypeOf(await lin32.vjp({ data: wide32, shape: [1] })).toEqualTypeOf<F32>();
    // @ts-expect-error a cotangent of the other precision
    lin32.vjp(f64);
    // @ts-expect-error only linearize makes one
    new tc.Linearization();
    const unknown: unknown = lin32;
    if (unknown instanceof tc.Linearization)
      expectTypeOf(unknown.engine).toEqualTypeOf<'fused' | 'autograd'>();
    expectTypeOf<api.Linearization<Float32Array>>().toExtend<api.Linearization>();
  },
  LinearOperator: async () => {
    expectTypeOf(await op32.matvec(wide32)).toEqualTypeOf<F32>();
    expectTypeOf(await op32.rmatvec({ data: f32, shape: [1] })).toEqualTypeOf<F32>();
    expectTypeOf(op64.matmatSync(f64, 1)).toEqualTypeOf<F64>();
    expectTypeOf(op32.rmatmatSync(f32, 1, { out: wide32 })).toEqualTypeOf<Float32Array>();
    expectTypeOf(await op32.toDense()).toEqualTypeOf<api.Tensor<F32>>();
    expectTypeOf(op.diagonalSync()).toEqualTypeOf<Either>();
    expectTypeOf(op32.add(op32).scale(2).damp(1).multiply(op32)).toEqualTypeOf<Operator<Float32Array>>();
    expectTypeOf(await op32.submatrix(['*']).dampRelative(1)).toEqualTypeOf<Operator<Float32Array>>();
    // @ts-expect-error a vector of the other precision
    op32.matvec(f64);
    // @ts-expect-error out of the other precision
    op32.matvec(f32, { out: f64 });
    expectTypeOf(op32.T.multiply(2).divide(3).submatrix([0], ['*'])).toEqualTypeOf<Operator<Float32Array>>();
    // @ts-expect-error an operator of the other precision
    op32.add(op64);
    // @ts-expect-error only factories make one
    new tc.LinearOperator();
    const unknown: unknown = op;
    if (unknown instanceof tc.LinearOperator) expectTypeOf(unknown.kind).toEqualTypeOf<api.OperatorKind>();
    expectTypeOf<Operator<Float32Array>>().toExtend<api.LinearOperator>();
  },
  gramian: () => ofModel(tc.gramian, tc.gramianSync),
  gramianSync: () => ofModel(tc.gramian, tc.gramianSync),
  jacobian: () => ofModel(tc.jacobian, tc.jacobianSync),
  jacobianSync: () => ofModel(tc.jacobian, tc.jacobianSync),
  ntk: () => ofModel(tc.ntk, tc.ntkSync),
  ntkSync: () => ofModel(tc.ntk, tc.ntkSync),
  hessian: () => ofLoss(tc.hessian, tc.hessianSync),
  hessianSync: () => ofLoss(tc.hessian, tc.hessianSync),
  gaussNewton: () => ofLoss(tc.gaussNewton, tc.gaussNewtonSync),
  gaussNewtonSync: () => ofLoss(tc.gaussNewton, tc.gaussNewtonSync),
  empiricalFisher: () => ofLoss(tc.empiricalFisher, tc.empiricalFisherSync),
  empiricalFisherSync: () => tc.empiricalFisherSync(loss64, { per: 'row', center: true }),
  fisher: () => ofLoss(tc.fisher, tc.fisherSync),
  fisherSync: () => tc.fisherSync(loss64, { mcSamples: 2, seed: 1n }),
  kfac: () => factored(tc.kfac, tc.kfacSync),
  kfacSync: () => tc.kfacSync(loss64, { fisher: 'mc', mcSamples: 2, seed: 1n }),
  ekfac: () => factored(tc.ekfac, tc.ekfacSync),
  ekfacSync: () => tc.ekfacSync(loss64, { approximation: 'reduce', others: 'diagonal' }),
  KroneckerOperator: async () => {
    const op = {} as api.KroneckerOperator<Float32Array>;
    expectTypeOf(op).toExtend<api.LinearOperator<Float32Array>>();
    expectTypeOf(await op.inverse({ damping: 1, method: 'pi' })).toEqualTypeOf<typeof op>();
    expectTypeOf(await op.logdet({ damping: 1 })).toEqualTypeOf<number>();
    expectTypeOf(op.traceSync()).toEqualTypeOf<number>();
    expectTypeOf(op.frobeniusNormSync()).toEqualTypeOf<number>();
    const { eigenvalues, eigenvectors } = await op.eigh();
    expectTypeOf(eigenvalues).toEqualTypeOf<F32>();
    expectTypeOf(eigenvectors).toEqualTypeOf<Operator<Float32Array>>();
    // @ts-expect-error no such method
    op.inverse({ method: 'best' });
    // @ts-expect-error only the factories make one
    new tc.KroneckerOperator();
  },
  lossAndGradient: async () =>
    expectTypeOf(await tc.lossAndGradient(loss32)).toEqualTypeOf<{ loss: number; gradient: F32 }>(),
  lossAndGradientSync: () => expectTypeOf(tc.lossAndGradientSync(loss64).gradient).toEqualTypeOf<F64>(),
  gramianImaginary: () => ofModel(tc.gramianImaginary, tc.gramianImaginarySync),
  gramianImaginarySync: () => ofModel(tc.gramianImaginary, tc.gramianImaginarySync),
  perSampleGradients: () => ofLoss(tc.perSampleGradients, tc.perSampleGradientsSync),
  perSampleGradientsSync: () => ofLoss(tc.perSampleGradients, tc.perSampleGradientsSync),
  perSampleLosses: async () => expectTypeOf(await tc.perSampleLosses(stream32)).toEqualTypeOf<F32>(),
  perSampleLossesSync: () => expectTypeOf(tc.perSampleLossesSync(loss64)).toEqualTypeOf<F64>(),
  perSample: async () => {
    for await (const some of tc.perSample(loss32, { rows: 2 }))
      expectTypeOf(some).toEqualTypeOf<api.PerSample<Float32Array>>();
  },
  customOperator: () => {
    const shape = [1, 1] as const;
    expectTypeOf(tc.customOperator({ shape, matmat: (v) => v })).toEqualTypeOf<Operator<Float32Array>>();
    expectTypeOf(tc.customOperator({ shape, dtype: 'float64', matmat: async (v) => v })).toEqualTypeOf<
      Operator<Float64Array>
    >();
    expectTypeOf(tc.customOperator({} as api.CustomOperator)).toEqualTypeOf<api.LinearOperator>();
  },
  denseOperator: () =>
    expectTypeOf(tc.denseOperator({ data: f64, shape: [1, 1] })).toEqualTypeOf<Operator<Float64Array>>(),
  diagonalOperator: () => expectTypeOf(tc.diagonalOperator(wide32)).toEqualTypeOf<Operator<Float32Array>>(),
  checkDeterministic: () => expectTypeOf(tc.checkDeterministic(op32)).toEqualTypeOf<Promise<boolean>>(),
  cg: () => solver(tc.cg, tc.cgSync),
  cgSync: () => solver(tc.cg, tc.cgSync),
  minres: () => solver(tc.minres, tc.minresSync),
  minresSync: () => solver(tc.minres, tc.minresSync),
  initProcessGroup: async () => {
    const group = await tc.initProcessGroup({ rank: 0, worldSize: 1, timeout: 1000 });
    expectTypeOf(group).toEqualTypeOf<api.ProcessGroup>();
    expectTypeOf(await group.allReduce(f32)).toEqualTypeOf<F32>();
    expectTypeOf(await tc.lossAndGradient(loss64, { group })).toEqualTypeOf<{
      loss: number;
      gradient: F64;
    }>();
    // @ts-expect-error no such backend
    tc.initProcessGroup({ backend: 'mpi' });
    // @ts-expect-error only in the promised form
    tc.lossAndGradientSync(loss64, { group });
  },
  ProcessGroup: async () => {
    await using group = await tc.initProcessGroup();
    expectTypeOf(group.rank).toEqualTypeOf<number>();
    expectTypeOf(await group.firstRow(3)).toEqualTypeOf<number>();
    expectTypeOf(await group.allGather(f32)).toEqualTypeOf<F32>();
    expectTypeOf(await tc.jacobian(loss64, { group })).toEqualTypeOf<Operator<Float64Array>>();
    expectTypeOf(await tc.kfac(loss64, { group })).toEqualTypeOf<api.KroneckerOperator<Float64Array>>();
    // @ts-expect-error only in the promised form
    tc.jacobianSync(loss64, { group });
    // @ts-expect-error sums over the data are distributed
    tc.gaussNewton(loss64, { group });
  },
  distributed: () => {
    expectTypeOf(tc.distributed(op32)).toEqualTypeOf<Operator<Float32Array>>();
    expectTypeOf(tc.distributed(op64, {}).damp(1)).toEqualTypeOf<Operator<Float64Array>>();
  },
  bind: async () => {
    const bound = await tc.bind(loss64, { device: 'cpu' });
    expectTypeOf((await tc.lossAndGradient(bound.at(f64))).gradient).toEqualTypeOf<F64>();
    expectTypeOf(await tc.gramian(bound.at(f32))).toEqualTypeOf<Operator<Float32Array>>();
    const { x: data } = single;
    await tc.bind({ model, x: data });
  },
  optim: async () => {
    const optimizer = tc.optim.levenbergMarquardt(loss64, { damping: 1 });
    expectTypeOf(optimizer).toEqualTypeOf<api.optim.Optimizer<Float64Array>>();
    expectTypeOf(optimizer.params).toEqualTypeOf<F64>();
    expectTypeOf(await optimizer.step({ x })).toEqualTypeOf<api.optim.StepRecord>();
    expectTypeOf(tc.optim.naturalGradient(loss32, { fisher: 'mc' }).params).toEqualTypeOf<F32>();
    expectTypeOf(tc.optim.newtonCG(loss32, { radius: 1 }).params).toEqualTypeOf<F32>();
    expectTypeOf((await tc.optim.sr(single, f32)).direction).toEqualTypeOf<F32>();
    expectTypeOf((await tc.optim.minSR(double, { data: f64, shape: [1] })).direction).toEqualTypeOf<F64>();
    // @ts-expect-error no such Fisher matrix
    tc.optim.naturalGradient(loss32, { fisher: 'type1' });
  },
  cgInverse: () => {
    expectTypeOf(tc.cgInverse(op32, { tolerance: 1e-8, preconditioner: f32 })).toEqualTypeOf<
      Operator<Float32Array>
    >();
    // @ts-expect-error a preconditioner of the other precision
    tc.cgInverse(op32, { preconditioner: f64 });
  },
  minresInverse: () => expectTypeOf(tc.minresInverse(op64)).toEqualTypeOf<Operator<Float64Array>>(),
  neumannInverse: () => expectTypeOf(tc.neumannInverse(op, { terms: 9 })).toEqualTypeOf<api.LinearOperator>(),
  lsmr: async () => {
    expectTypeOf(await tc.lsmr(op32, f32, { damp: 1 })).toEqualTypeOf<
      api.LeastSquaresSolution<Float32Array>
    >();
    // @ts-expect-error a right-hand side of the other precision
    tc.lsmr(op32, f64);
  },
  lsmrSync: () => expectTypeOf(tc.lsmrSync(op64, f64).reason).toEqualTypeOf<api.LeastSquaresReason>(),
  lsqr: async () => {
    expectTypeOf(await tc.lsqr(op64, f64, { x0: f64 })).toEqualTypeOf<
      api.LeastSquaresSolution<Float64Array>
    >();
    // @ts-expect-error a start of the other precision
    tc.lsqr(op32, f32, { x0: f64 });
  },
  lsqrSync: () => expectTypeOf(tc.lsqrSync(op32, f32).x).toEqualTypeOf<api.ResultArray<Float32Array>>(),
  logdet: async () =>
    expectTypeOf(await tc.logdet(op32, { method: 'exact' })).toEqualTypeOf<api.TraceEstimate>(),
  logdetSync: () => expectTypeOf(tc.logdetSync(op).estimate).toEqualTypeOf<number>(),
  xtrace: async () => expectTypeOf(await tc.xtrace(op32)).toEqualTypeOf<api.TraceEstimate>(),
  xtraceSync: () => expectTypeOf(tc.xtraceSync(op).products).toEqualTypeOf<number>(),
  xdiag: async () => expectTypeOf((await tc.xdiag(op32)).diagonal).toEqualTypeOf<F32>(),
  xdiagSync: () => expectTypeOf(tc.xdiagSync(op64).standardError).toEqualTypeOf<F64>(),
  squaredFrobeniusNorm: async () =>
    expectTypeOf(await tc.squaredFrobeniusNorm(op32)).toEqualTypeOf<api.TraceEstimate>(),
  squaredFrobeniusNormSync: () =>
    expectTypeOf(tc.squaredFrobeniusNormSync(op)).toEqualTypeOf<api.TraceEstimate>(),
  eigsh: async () => {
    const pairs = await tc.eigsh(op32, { which: 'LA' });
    expectTypeOf(pairs).toEqualTypeOf<api.Eigenpairs<Float32Array>>();
    expectTypeOf(pairs.eigenvectors).toEqualTypeOf<F32>();
    expectTypeOf(pairs.reason).toEqualTypeOf<'converged' | 'maxIterations' | 'stagnation' | 'nan'>();
    // @ts-expect-error no such end of the spectrum
    tc.eigsh(op, { which: 'XL' });
  },
  eigshSync: () => expectTypeOf(tc.eigshSync(op64).residualNorms).toEqualTypeOf<F64>(),
  diagonal: async () => expectTypeOf((await tc.diagonal(op32)).standardError).toEqualTypeOf<F32>(),
  diagonalSync: () => expectTypeOf(tc.diagonalSync(op)).toEqualTypeOf<api.DiagonalEstimate>(),
  trace: async () => expectTypeOf(await tc.trace(op32)).toEqualTypeOf<api.TraceEstimate>(),
  traceSync: () => expectTypeOf(tc.traceSync(op64, { method: 'hutch++' }).estimate).toEqualTypeOf<number>(),
  spectralDensity: async () =>
    expectTypeOf((await tc.spectralDensity(op32)).nodes).toEqualTypeOf<api.Tensor<F64>>(),
  spectralDensitySync: () => expectTypeOf(tc.spectralDensitySync(op)).toEqualTypeOf<api.SpectralDensity>(),
  Model: async () => {
    expectTypeOf(tc.Model.sequential([])).toEqualTypeOf<api.Model<Float32Array>>();
    const loaded = await tc.Model.load('model.pt2');
    expectTypeOf(loaded).toEqualTypeOf<api.Model>();
    expectTypeOf(loaded.init()).toEqualTypeOf<Either>();
    expectTypeOf(loaded.initialParameters).toEqualTypeOf<Either | undefined>();
    expectTypeOf(model.init({ seed: 1 })).toEqualTypeOf<F32>();
    expectTypeOf(model.init({ dtype: 'float64' })).toEqualTypeOf<F64>();
    expectTypeOf(model.init({ dtype: 'float32' as api.DType })).toEqualTypeOf<Either>();
    expectTypeOf(await model.forward(f64, x)).toEqualTypeOf<api.Tensor<F64>>();
    expectTypeOf(
      model.forwardSync({ '0.weight': f32 }, [x], { out: wide32 }).data,
    ).toEqualTypeOf<Float32Array>();
    expectTypeOf(model.flatten({ '0.weight': wide32 })).toEqualTypeOf<F32>();
    expectTypeOf(model.flatten({} as Record<string, api.TypedArray>)).toEqualTypeOf<Either>();
    expectTypeOf(model.unflatten(f64)).toEqualTypeOf<Record<string, F64>>();
    // @ts-expect-error only its functions make one
    new tc.Model({});
  },
  Generator: () => {
    const generator = new tc.Generator(0);
    expectTypeOf(generator.randn([1])).toEqualTypeOf<api.Tensor<F32>>();
    expectTypeOf(generator.randn([1], { dtype: 'float64' })).toEqualTypeOf<api.Tensor<F64>>();
    expectTypeOf(generator.uniform([1], { low: 1 })).toEqualTypeOf<api.Tensor<F32>>();
    expectTypeOf(generator.uniform([1], { dtype: 'float32' as api.DType }).data).toEqualTypeOf<Either>();
  },
  TorchCurvatureError: () =>
    expectTypeOf(new tc.TorchCurvatureError('ERR_DISPOSED', '').code).toEqualTypeOf<api.ErrorCode>(),
  configure: () => expectTypeOf(tc.configure({ threads: 2 })).toEqualTypeOf<api.Settings>(),
  info: () => expectTypeOf(tc.info()).toEqualTypeOf<api.Info>(),
  loadNpy: () => expectTypeOf(tc.loadNpy('x.npy')).toEqualTypeOf<Promise<api.Tensor>>(),
  saveNpy: () => expectTypeOf(tc.saveNpy('x.npy', f32)).toEqualTypeOf<Promise<void>>(),
  saveSafetensors: () =>
    expectTypeOf(tc.saveSafetensors('x.safetensors', model.unflatten(f32), { model })).toEqualTypeOf<
      Promise<void>
    >(),
  loadSafetensors: () =>
    expectTypeOf(tc.loadSafetensors('file')).resolves.toEqualTypeOf<Record<string, api.TypedArray>>(),
  nn: () => expectTypeOf(tc.nn.linear(1, 2, { bias: false })).toEqualTypeOf<api.Layer>(),
  profile: async () => {
    const { result, profile } = await tc.profile(async () => 'done' as const);
    expectTypeOf(result).toEqualTypeOf<'done'>();
    expectTypeOf(profile).toEqualTypeOf<api.Profile>();
    const product = await tc.profile(() => tc.matvecOnTheFly(single, f32));
    expectTypeOf(product.result).toEqualTypeOf<F32>();
  },
  recordFunction: () => expectTypeOf(tc.recordFunction('name', () => 1)).toEqualTypeOf<number>(),
  schedule: () => expectTypeOf(tc.schedule({ active: 1 })).toEqualTypeOf<api.Schedule>(),
  startProfile: () => expectTypeOf(tc.startProfile()).toEqualTypeOf<api.Profiler>(),
  tensor: () => expectTypeOf(tc.tensor(f32, [1])).toEqualTypeOf<api.Tensor<F32>>(),
  tensorboardTraceHandler: () =>
    expectTypeOf(tc.tensorboardTraceHandler('folder')).toExtend<api.OnTraceReady>(),
  warmUp: () => expectTypeOf(tc.warmUp(loss32, { engine: 'fused' })).toEqualTypeOf<Promise<void>>(),
};
