/** The raw addon: its functions and operations. */
import type { GroupFunctions, GroupOperations } from './groups.ts';
import type { OperatorFunctions, OperatorOperations } from './operators.ts';
import type { RawProfile, RawProfilerOptions } from './profiles.ts';
import type { ProgramRecord, RawNode, RawProgram } from './program.ts';
import type {
  DraftHandle,
  GeneratorHandle,
  RawDenseRequest,
  RawProductRequest,
  RawRequest,
  RegionHandle,
  StopHandle,
  ValuesHandle,
} from './requests.ts';
import type { FloatArray, RawTensor } from './values.ts';

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
  /** Cores that the process may use: by its affinity, and the quotas of its control groups. */
  cores: number;
  /** Operations that run on threads of the package, and that wait for such threads. */
  running: number;
  queued: number;
  /** Threads of the package that wait for work; they end after some seconds. */
  idleThreads: number;
  /** Bytes that tensors on the CPU hold, but for blocks below 64 KiB. JavaScript's arrays are not among them. */
  bytesHeld: number;
  /** Whether the addon was compiled with CUDA. */
  cudaCompiled: boolean;
  /** Names of the CUDA devices that can be used here. */
  cudaDevices: readonly string[];
}

/** Settings of the process; `Infinity` is no limit. */
export interface RawSettings {
  concurrency: number;
  maxQueue: number;
  memoryLimit: number;
  threads: number;
}

/** What can be asked for by name, and the `code`s of failures. */
export interface RawTables {
  errorCodes: readonly string[];
  losses: readonly string[];
  operators: readonly string[];
  solvers: readonly string[];
  /** Operators of PyTorch that have rules for their derivatives, and that the fused engine has kernels for. */
  rules: readonly string[];
  activations: readonly string[];
}

/** Operations that exist as `name`, which returns a promise and may be stopped, and as `nameSync`. */
export interface Operations extends OperatorOperations, GroupOperations {
  /** Looks up and checks the operators of a draft, which is used up. Throws `ERR_MODEL_LOAD`, `ERR_UNSUPPORTED_OP`. */
  createProgram: { request: { draft: DraftHandle }; result: ProgramRecord };
  /**
   * Reads a TorchScript archive: its program, and its parameters, flat. `bytes` are read in place: nobody may change or
   * transfer them. Of several results, `output` is the number or name of the one taken; `inputs` says what inputs are of. Throws `ERR_MODEL_LOAD`,
   * `ERR_UNSUPPORTED_OP`, `ERR_INVALID_ARGUMENT`.
   */
  loadTorchScript: {
    request: {
      bytes: Uint8Array;
      output?: string | number | undefined;
      inputs?: Readonly<Record<string, 'bool' | 'uint8'>> | undefined;
    };
    result: ProgramRecord & { nodes: number; values: ValuesHandle; float64: boolean; frozen: string[] };
  };
  /** Forward pass. */
  forward: { request: RawRequest; result: RawTensor };
  /** Jᵀ(J v) without J. */
  matvecOnTheFly: { request: RawProductRequest; result: FloatArray };
  /** JᵀJ v through a materialized J. */
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
export interface Addon extends Asynchronous, Synchronous, OperatorFunctions, GroupFunctions {
  info(): RawInfo;
  /** Changes the settings that are given; returns all of them. */
  configure(settings: Partial<RawSettings>): RawSettings;
  /** The names in the tables of native code. */
  tables(): RawTables;

  /** Begins a program: all of it but its nodes, which `draftNodes` adds, in order and in any number of calls. */
  draftProgram(program: Omit<RawProgram, 'nodes'>): DraftHandle;
  draftNodes(draft: DraftHandle, nodes: readonly RawNode[]): void;
  /** Fills `out` with the values from `from` on. */
  copyValues(values: ValuesHandle, from: number, out: FloatArray): void;

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
