/** Handles of native objects, and what operations on a model are asked with. */
import type { FloatArray, RawTensor } from './values.ts';

declare const brand: unique symbol;
export interface ProgramHandle {
  readonly [brand]: 'program';
}
/** A program that is on its way to the addon. */
export interface DraftHandle {
  readonly [brand]: 'draft';
}
/** Values that are copied out of the addon in pieces. */
export interface ValuesHandle {
  readonly [brand]: 'values';
}
/** Lets JavaScript stop an operation that runs on another thread. */
export interface StopHandle {
  readonly [brand]: 'stop';
}
export interface GeneratorHandle {
  readonly [brand]: 'generator';
}
export interface RegionHandle {
  readonly [brand]: 'region';
}
export interface LinearizationHandle {
  readonly [brand]: 'linearization';
}
/** Data that stay where they are between calls. */
export interface TensorHandle {
  readonly [brand]: 'tensor';
}
export interface GroupHandle {
  readonly [brand]: 'group';
}
export interface OperatorHandle {
  readonly [brand]: 'operator';
}

/** What every operation on a model at a point takes. */
export interface RawRequest {
  program: ProgramHandle;
  /** All parameters, flat; their kind of array is the precision. */
  params: FloatArray;
  /** Inputs of the program; the first axis of those that have rows is the batch. */
  inputs: readonly RawTensor[];
  /** The rows are some of a larger batch, whose products add up: they may not depend on one another. */
  cut?: boolean | undefined;
  /** `cpu`, `cuda` or `cuda:N`. */
  device: string;
  /** Rows of the batch at once; 0 lets the operation choose. */
  chunkSize: number;
  /** Intra-op threads; 0 is the process default. */
  threads: number;
  engine: string;
}
export interface RawProductRequest extends RawRequest {
  v: FloatArray;
  /** Receives the result when given (same kind and length as `params`). */
  out?: FloatArray | undefined;
}
export interface RawDenseRequest extends RawProductRequest {
  strategy: 'gram' | 'jacobian';
}
