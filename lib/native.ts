/**
 * The raw addon: its types, and the one place that loads it. Nothing else in `lib/` touches the `.node` file.
 * Arguments reaching these functions were checked before (`check.ts`); the addon checks again only what would
 * make it read outside an array.
 */
import { type BuildRecord, loadAddon } from './load-addon.ts';
import type { OperatorFunctions, OperatorOperations } from './native-operators.ts';

/** A flat vector. */
export type FloatArray = Float32Array | Float64Array;
/** What tensors hold: floating numbers, or integers for embeddings and class targets. */
export type TypedArray = FloatArray | Int32Array | BigInt64Array;

/** Row-major data with its shape. */
export interface RawTensor {
  data: TypedArray;
  shape: readonly number[];
}

/** A whole number that depends on the sizes of values when the program runs: `sizeOf` is a value number. */
export type RawSize =
  | number
  | { sizeOf: number; axis: number }
  | { op: '+' | '-' | '*' | '//'; left: RawSize; right: RawSize };

/**
 * An argument of a node. `ref` is a value number, `refs` a tensor list; a plain number follows the operator's
 * schema (int, float or scalar), `{ float }` forces a floating scalar. `size` and `sizes` stand for an integer and a
 * list of them, `precision` for the dtype of the parameters and `dtypeOf` for that of a value.
 */
export type RawArgument =
  | { ref: number }
  | { refs: readonly (number | null)[] }
  | { float: number }
  | { size: RawSize }
  | { sizes: readonly RawSize[] }
  | { precision: true }
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
}

/**
 * A straight-line program. Values are numbered: parameters, then inputs, then constants, then the outputs of the
 * nodes in order.
 */
export interface RawProgram {
  parameters: readonly { name: string; shape: readonly number[] }[];
  inputs: number;
  constants: readonly RawTensor[];
  nodes: readonly RawNode[];
  /** Value number of the result, whose first axis is the batch. */
  output: number;
  /** Rows that it was exported for, the only number it can run at once; absent or 0 where any number goes. */
  batch?: number | undefined;
  /** Shape of one row's outputs, where `batch` is given. */
  rowShape?: readonly number[] | undefined;
}

declare const brand: unique symbol;
export interface ProgramHandle {
  readonly [brand]: 'program';
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
export interface OperatorHandle {
  readonly [brand]: 'operator';
}

/** What every operation on a model at a point takes. */
export interface RawRequest {
  program: ProgramHandle;
  /** All parameters, flat; their kind of array is the precision. */
  params: FloatArray;
  /** Inputs of the program; the first axis of the first is the batch. */
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

export interface RawInfo {
  /** Version of the libtorch in use, for example `2.13.0`. */
  libtorchVersion: string;
  /** Version whose headers the addon was compiled with. */
  compiledVersion: string;
  /** libtorch's own description of its build. */
  buildConfig: string;
  /** Instruction set its CPU kernels use: `AVX512`, `AVX2`, `DEFAULT`. */
  cpuCapability: string;
  /** Default number of intra-op threads. */
  threads: number;
  /** Whether the addon was compiled with CUDA. */
  cudaCompiled: boolean;
  /** Names of the CUDA devices that can be used here. */
  cudaDevices: readonly string[];
}

export interface RawProfileRow {
  name: string;
  count: number;
  selfCpuTimeTotal: number;
  cpuTimeTotal: number;
  selfDeviceTimeTotal: number;
  deviceTimeTotal: number;
  cpuMemoryUsage: number;
  selfCpuMemoryUsage: number;
  deviceMemoryUsage: number;
  selfDeviceMemoryUsage: number;
  flops: number;
  inputShapes?: number[][];
  /** True for rows that stand for kernels on the device rather than calls on the CPU. */
  onDevice: boolean;
  /** True for named regions, on the CPU or spanning kernels. */
  annotation: boolean;
}
/** One call; `parent` is the place of the call that made it, or −1. */
export interface RawProfileEvent {
  name: string;
  /** Microseconds since the profile began. */
  startTime: number;
  endTime: number;
  thread: number;
  parent: number;
  cpuTimeTotal: number;
  selfCpuTimeTotal: number;
  deviceTimeTotal: number;
  selfDeviceTimeTotal: number;
  cpuMemoryUsage: number;
  selfCpuMemoryUsage: number;
  deviceMemoryUsage: number;
  selfDeviceMemoryUsage: number;
  flops: number;
  executedFlops: number;
  onDevice: boolean;
  annotation: boolean;
  async: boolean;
  /** On a thread that helped another one, whose time is what counts. */
  helper: boolean;
  parameterCount?: number;
  batch?: number;
  engine?: 'fused' | 'autograd';
  inputShapes?: number[][];
}
export interface RawProfile {
  /** Aggregated by name, and by input shapes when these were recorded. */
  rows: RawProfileRow[];
  selfCpuTimeTotal: number;
  selfDeviceTimeTotal: number;
  peakMemory: number;
  /** Every call, by start. */
  events(): RawProfileEvent[];
  /** Writes a Chrome trace; callable once or more until the profile is collected. */
  save(path: string): void;
}
export interface RawProfilerOptions {
  cpu: boolean;
  cuda: boolean;
  recordShapes: boolean;
  profileMemory: boolean;
  withFlops: boolean;
}

/** Operations that exist as `name`, which returns a promise and may be stopped, and as `nameSync`. */
export interface Operations extends OperatorOperations {
  /** Forward pass. */
  forward: { request: RawRequest; result: RawTensor };
  /** Jᵀ(J v) without J. */
  matvecOnTheFly: { request: RawProductRequest; result: FloatArray };
  /** JᵀJ v through a materialised J. */
  matvecDense: { request: RawDenseRequest; result: FloatArray };
}

type Asynchronous = {
  [Name in keyof Operations]: (
    request: Operations[Name]['request'],
    stop?: StopHandle,
  ) => Promise<Operations[Name]['result']>;
};
type Synchronous = {
  [Name in keyof Operations as `${Name}Sync`]: (
    request: Operations[Name]['request'],
  ) => Operations[Name]['result'];
};

/**
 * Failures are JavaScript errors with a `code`: one of the codes of `errors.ts`, or `ABORTED` when a stop handle
 * was used.
 */
export interface Addon extends Asynchronous, Synchronous, OperatorFunctions {
  info(): RawInfo;

  createProgram(program: RawProgram): ProgramHandle;

  /** Reads a TorchScript archive: its program and parameters, flat. Throws `ERR_MODEL_LOAD`, `ERR_UNSUPPORTED_OP`. */
  loadTorchScript(bytes: Uint8Array): { program: RawProgram; parameters: FloatArray; frozen: string[] };

  createStop(): StopHandle;
  stop(handle: StopHandle): void;

  /** PyTorch's CPU generator (Mersenne Twister) with its own state. */
  createGenerator(seed: bigint): GeneratorHandle;
  /** `torch.empty(shape).uniform_(low, high)` */
  uniform(
    generator: GeneratorHandle,
    shape: readonly number[],
    low: number,
    high: number,
    float64: boolean,
  ): FloatArray;
  /** `torch.randn(shape)` times `std` plus `mean` (`normal_(mean, std)`) */
  normal(
    generator: GeneratorHandle,
    shape: readonly number[],
    mean: number,
    std: number,
    float64: boolean,
  ): FloatArray;

  /** Starts recording what this thread does and what it hands to others. Throws `ERR_PROFILER_BUSY`. */
  profilerStart(options: RawProfilerOptions): void;
  profilerStop(): RawProfile;
  regionEnter(name: string): RegionHandle;
  /** `async`: other work of this thread may have happened meanwhile. */
  regionExit(region: RegionHandle, async: boolean): void;

  /** Bytes that can still be allocated on the device without running out of memory. */
  availableMemory(device: string): number;
}

let loaded: ReturnType<typeof loadAddon> | undefined;

/**
 * The addon, loaded at the first call: importing the package costs nothing and cannot fail.
 *
 * @throws TorchCurvatureError `ERR_ADDON_MISSING`, `ERR_LIBTORCH_MISSING`, `ERR_LIBTORCH_VERSION`
 */
export function addon(): Addon {
  loaded ??= loadAddon();
  return loaded.addon;
}

/** Which libtorch the addon was built with. */
export function libtorchRecord(): BuildRecord {
  loaded ??= loadAddon();
  return loaded.libtorch;
}
