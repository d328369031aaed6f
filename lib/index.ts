/**
 * Products with the curvature matrices of neural networks, without ever building the Jacobian.
 *
 * @packageDocumentation
 */

export { type Info, info } from './addon/info.ts';
export type {
  ArrayKind,
  DType,
  FloatArray,
  IntegerArray,
  ParameterRecord,
  ParameterVector,
  ResultArray,
  Tensor,
  TypedArray,
} from './arrays.ts';
export { tensor } from './arrays.ts';
export type { ApplyOptions, Engine, OutOption, ProductOptions, WholeOptions } from './check.ts';
export { type ConfigureOptions, configure, type Settings } from './configure.ts';
export {
  type GroupOption,
  initProcessGroup,
  ProcessGroup,
  type ProcessGroupOptions,
  type TogetherOptions,
} from './distributed/process-group.ts';
export { type ErrorCode, TorchCurvatureError } from './errors.ts';
export type { LoadOptions } from './model/files/index.ts';
export { loadNpy, saveNpy } from './model/files/npy.ts';
export { loadSafetensors } from './model/files/safetensors.ts';
export { type SaveSafetensorsOptions, saveSafetensors } from './model/files/save-safetensors.ts';
export type { FileSource } from './model/files/source.ts';
export { Generator, type NormalOptions, type UniformOptions } from './model/generator.ts';
export type { Inputs, TensorSpec } from './model/inputs.ts';
export { type InitOptions, Model, type Parameter, type SequentialOptions } from './model/model.ts';
export * as nn from './model/nn/index.ts';
export type { Layer } from './model/nn/layer.ts';
export { type CustomOperator, customOperator, type ProductContext } from './operators/custom.ts';
export { type DistributedOptions, distributed } from './operators/distributed.ts';
export * from './operators/factories.ts';
export type { OperatorKind } from './operators/kinds.ts';
export {
  type Eigendecomposition,
  type InverseOptions,
  KroneckerOperator,
  type LogdetOptions,
} from './operators/kronecker-operator.ts';
export {
  checkDeterministic,
  type DenseOperatorOptions,
  type DiagonalOperatorOptions,
  denseOperator,
  diagonalOperator,
  LinearOperator,
  type OperatorVector,
  type Selection,
} from './operators/linear-operator.ts';
export {
  type LossAndGradientOptions,
  lossAndGradient,
  lossAndGradientSync,
} from './operators/loss-and-gradient.ts';
export {
  type PerSample,
  type PerSampleOptions,
  perSample,
  perSampleLosses,
  perSampleLossesSync,
} from './operators/per-sample.ts';
export * as optim from './optim/index.ts';
export type { Batch, BatchSource } from './problem/batches.ts';
export { type BindOptions, type BoundProblem, bind } from './problem/bind.ts';
export type { HeldTensor } from './problem/held-tensor.ts';
export type { L2Term } from './problem/l2.ts';
export type { LossProblem } from './problem/loss.ts';
export type { Loss, LossModel, LossWithOptions } from './problem/losses.ts';
export type { Problem } from './problem/problem.ts';
export type { StreamedProblem } from './problem/streamed-problem.ts';
export { Linearization, type LinearizeOptions, linearize, linearizeSync } from './products/linearize.ts';
export {
  type DenseOptions,
  matvecDense,
  matvecDenseSync,
  matvecOnTheFly,
  matvecOnTheFlySync,
} from './products/products.ts';
export { type WarmUpOptions, warmUp } from './products/warm-up.ts';
export {
  type KeyAverages,
  type KeyAveragesOptions,
  type OnTraceReady,
  type Profile,
  type ProfileEvent,
  type ProfileOptions,
  type ProfileRow,
  type Profiler,
  type ProfilerAction,
  profile,
  recordFunction,
  type Schedule,
  type ScheduleOptions,
  schedule,
  startProfile,
  type TableOptions,
  type TraceHandlerOptions,
  tensorboardTraceHandler,
} from './profiler/profiler.ts';
export * from './solvers/eigsh.ts';
export * from './solvers/estimators.ts';
export * from './solvers/inverses.ts';
export * from './solvers/least-squares.ts';
export {
  type CgOptions,
  cg,
  cgSync,
  type LinearSolution,
  type LinearSolverOptions,
  minres,
  minresSync,
  type SolverProgress,
  type SolverRecord,
} from './solvers/linear.ts';
export * from './solvers/logdet.ts';
export type { EigshEnd, EigshReason, SolverReason } from './solvers/reasons.ts';
export * from './solvers/spectral-density.ts';
