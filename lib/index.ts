/**
 * Products with the curvature matrices of neural networks, without ever building the Jacobian.
 *
 * @packageDocumentation
 */
export type { DType, FloatArray, ParameterRecord, ParameterVector, Tensor, TypedArray } from './arrays.ts';
export { tensor } from './arrays.ts';
export type { Engine, ProductOptions } from './check.ts';
export { type ErrorCode, TorchCurvatureError } from './errors.ts';
export { Generator } from './generator.ts';
export { type Info, info } from './info.ts';
export { loadSafetensors } from './model-files/safetensors.ts';
export type { FileSource } from './model-files/source.ts';
export { type InitOptions, type Inputs, Model, type Parameter } from './models.ts';
export * as nn from './nn/index.ts';
export type { Layer } from './nn/layer.ts';
export {
  type DenseOptions,
  matvecDense,
  matvecDenseSync,
  matvecOnTheFly,
  matvecOnTheFlySync,
  type Problem,
} from './products.ts';
export {
  type KeyAverages,
  type Profile,
  type ProfileOptions,
  type ProfileRow,
  profile,
  recordFunction,
  type TableOptions,
} from './profiler.ts';
