/** A program as it crosses to the addon, and what the addon tells of it. */
import type { ProgramHandle } from './requests.ts';
import type { RawTensor } from './values.ts';

/**
 * A number that depends on the sizes of values when the program runs: `sizeOf` is a value number, and so is `itemOf`, of
 * an input that is a number. `op` is a function of the core's sizes.cc, of numbers with Python's types.
 */
export type RawSize =
  | number
  | { sizeOf: number; axis: number }
  | { itemOf: number }
  | { float: number }
  | { op: string; of: readonly RawSize[] };

/**
 * An argument of a node. `ref` is a value number, `refs` a tensor list; a plain number follows the operator's
 * schema (int, float or scalar), `{ float }` forces a floating scalar. `size` and `sizes` stand for a number and a
 * list of them, `precision` for the dtype of the parameters, `complexPrecision` for that of complex
 * numbers with such parts, and `dtypeOf` for that of a value.
 */
export type RawArgument =
  | { ref: number }
  | { refs: readonly (number | null)[] }
  | { float: number }
  | { size: RawSize }
  | { sizes: readonly RawSize[] }
  | { real: number; imaginary: number }
  | { precision: true }
  | { complexPrecision: true }
  | { dtypeOf: number }
  | number
  | boolean
  | null
  | string
  | readonly number[];

/** One ATen call. `target` is an operator name with optional overload: `aten::linear`, `aten::add.Tensor`. */
export interface RawNode {
  target: string;
  args: readonly RawArgument[];
  kwargs?: Readonly<Record<string, RawArgument>>;
  /**
   * How many values the call produces; they take the next value numbers. For an operator that returns a list of
   * tensors, how many of its first elements.
   */
  outputs: number;
  /** Whether the result shares memory with the first argument, where that depends on how the argument lies in memory. */
  sharesMemory?: boolean | undefined;
  /** Whether derivatives pass through what it changes in place; absent where they do. */
  differentiated?: boolean | undefined;
}

/** An input or an output, as the model was exported. */
export interface RawPort {
  name: string;
  /** As in PyTorch: `float32`, `int64`, `bool`, …; absent where it is not known. */
  dtype?: string | undefined;
  /** Sizes, and names of those that vary: `batch` for the rows, `...` for any number of axes. */
  shape: readonly (number | string)[];
}

/**
 * A straight-line program. Values are numbered: parameters, then inputs, then constants, then the outputs of the
 * nodes in order.
 */
export interface RawProgram {
  parameters: readonly { name: string; shape: readonly number[] }[];
  /** Those whose first axis is `batch` have rows; the others are the same for all. */
  inputs: readonly RawPort[];
  constants: readonly RawTensor[];
  /** Parameters and constants, by number, that were views of one memory in the model: each list of them. */
  sharing?: readonly (readonly number[])[] | undefined;
  nodes: readonly RawNode[];
  /** Value number of the result, whose first axis is the batch. */
  output: number;
  /** What the model returns, of which `output` is the one at `returned`; worked out where absent. */
  outputs?: readonly RawPort[] | undefined;
  returned?: number | undefined;
  /** Rows that it was exported for, the only number it can run at once; absent or 0 where any number goes. */
  batch?: number | undefined;
}

/** A program that the addon has checked. */
export interface ProgramRecord {
  handle: ProgramHandle;
  parameters: readonly { name: string; shape: readonly number[] }[];
  inputs: readonly RawPort[];
  /** All that the model returns. */
  outputs: readonly RawPort[];
  /** Rows that it runs at a time; absent where any number goes. */
  batch?: number;
}
