/** Processes that compute together, on one machine or several. */
import { inspect, types } from 'node:util';
import { addon } from '../addon/addon.ts';
import { NativeObject } from '../addon/native-object.ts';
import { acceptedBy, operation } from '../addon/operation.ts';
import type { GroupHandle } from '../addon/requests.ts';
import { copyOf, describe, dtypeOf, type FloatArray, floatArray, type ResultArray } from '../arrays.ts';
import { checkFloats, checkOneOf, checkSignal, positive, wholeNumber } from '../check.ts';
import { outOfRange, TorchCurvatureError, wrongType } from '../errors.ts';
import { guard } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import { OptionNames } from '../options.ts';
import { unlessAborted } from '../problem/until-aborted.ts';
import { launched, RANK_VARIABLES } from './launchers.ts';

/** Of `initProcessGroup`. What is left out is what the launcher says, by the environment. */
export interface ProcessGroupOptions {
  /** `'gloo'`, the default: adds over the network, in memory. `'nccl'` where it has been built with it. */
  backend?: 'gloo' | 'nccl';
  /** Which of the processes this is, from 0: `RANK`, `SLURM_PROCID`, or what MPI sets. */
  rank?: number;
  /** How many processes there are: `WORLD_SIZE`, `SLURM_NTASKS`, or what MPI sets. */
  worldSize?: number;
  /** Where rank 0 is: `MASTER_ADDR`, or the first node of the Slurm step. */
  masterAddress?: string;
  /** A port on its machine that is free: `MASTER_PORT`; of a Slurm job by its number, else 29500. */
  masterPort?: number;
  /**
   * Milliseconds that a rank waits for the others: for their coming, and in each sum for their part, which they may still
   * have to compute. 1 800 000 by default, half an hour, as in PyTorch.
   */
  timeout?: number;
  /** Stops the waiting for the other ranks; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

const OPTIONS = new OptionNames<ProcessGroupOptions>({
  backend: true,
  rank: true,
  worldSize: true,
  masterAddress: true,
  masterPort: true,
  timeout: true,
  signal: true,
});

/** Of what ranks do together. */
export interface TogetherOptions {
  /**
   * Stops the waiting; the promise rejects with the signal's reason. The other ranks could not go on without this one: they
   * fail with `ERR_DISTRIBUTED`, and the group is of no more use.
   */
  signal?: AbortSignal;
}

const TOGETHER_OPTIONS = new OptionNames<TogetherOptions>({ signal: true });

/** Of what is made of the data of all ranks. */
export interface GroupOption {
  /**
   * The problem has some of the rows, and the other ranks of this group have the others: what is made is of all rows, in the
   * order of the ranks, and the same on every rank. The data should stay as they are until it is made.
   */
  group?: ProcessGroup;
}

/** As many as libtorch's sums are exact for. */
const MAX_RANKS = 2 ** 20;
/** Half an hour. */
const TIMEOUT = 1_800_000;

const JOIN = operation((options: ProcessGroupOptions | undefined) => {
  const { signal, ...meeting } = meetingOf(OPTIONS.read(options));
  const { backend, rank, worldSize } = meeting;
  return {
    name: 'groupJoin',
    request: meeting,
    signal,
    describe: () => ({ backend, rank, worldSize }),
    result: (handle) => new ProcessGroup(handle, meeting),
  };
});

/** Groups that were made by this thread in a launcher's store, where each needs keys of its own. */
let made = 0;

function meetingOf(given: ProcessGroupOptions) {
  const env = launched(process.env);
  const { backend = 'gloo', timeout = TIMEOUT, signal } = given;
  const rank = required(given.rank ?? env.rank, 'rank');
  const worldSize = positive(required(given.worldSize ?? env.worldSize, 'worldSize'), 'worldSize', MAX_RANKS);
  if (!Number.isSafeInteger(rank) || rank < 0 || rank >= worldSize)
    throw outOfRange(`rank should be a whole number from 0 to ${worldSize - 1}, got ${describe(rank)}`);
  const alone = worldSize === 1;
  const host = given.masterAddress ?? env.masterAddress ?? (alone ? '127.0.0.1' : undefined);
  if (host === undefined)
    throw wrongType('masterAddress is missing: the address of rank 0, as an option or in MASTER_ADDR');
  if (typeof host !== 'string' || host === '')
    throw wrongType(`masterAddress should be a name or an address, got ${describe(host)}`);
  // By itself, any port that is free.
  const port = given.masterPort ?? env.masterPort ?? (alone ? 0 : 29_500);
  if (port !== 0 || given.masterPort !== undefined) positive(port, 'masterPort', 65_535);
  return {
    backend: checkOneOf(backend, ['gloo', 'nccl'] as const, 'backend'),
    rank,
    worldSize,
    host,
    port,
    serves: rank === 0 && env.store === undefined,
    prefix: env.store === undefined ? '' : `${env.store}group_${made++}`,
    timeout: positive(timeout, 'timeout', 2 ** 31 - 1),
    signal: checkSignal(signal),
  };
}

function required(value: unknown, name: 'rank' | 'worldSize'): number {
  if (typeof value === 'number') return value;
  if (value !== undefined) throw wrongType(`${name} should be a number, got ${describe(value)}`);
  throw wrongType(
    `${name} is missing, and no launcher says it (by ${RANK_VARIABLES}): start by torchrun --no-python, srun or a ` +
      "PyTorchJob, or initProcessGroup({ rank: 0, worldSize: 2, masterAddress: '127.0.0.1', masterPort: 29500 })",
  );
}

/** What an error says; another value that a caller's getter throws may run code as it is looked at. */
function wordsOf(error: unknown): string {
  const said = types.isNativeError(error) && Object.getOwnPropertyDescriptor(error, 'message')?.value;
  return typeof said === 'string' ? said : 'its arguments';
}

/** Groups of this thread that were not closed. */
const open = new Set<ProcessGroup>();

/** Used inside the package: the group that is meant where none is named. */
export function theGroup(given: unknown, name: string): ProcessGroup {
  if (given !== undefined) {
    if (!ProcessGroup.is(given)) throw wrongType(`${name} should be a ProcessGroup, got ${describe(given)}`);
    return given;
  }
  const [only, ...others] = open;
  if (only !== undefined && others.length === 0) return only;
  throw wrongType(
    only === undefined
      ? `${name} is missing, and there is none: const group = await initProcessGroup()`
      : `${name} is missing, and there are ${open.size} of them: say which`,
  );
}

/**
 * Used inside the package: options with a group among them, as `read` gives them; where it refuses them, the other ranks hear
 * of it.
 */
export function readTogether<Options extends GroupOption>(options: unknown, read: () => Options): Options {
  return acceptedBy({ refuse: (error) => groupAmong(options)?.refuse(error) }, read);
}

/** Found without running code of the caller's. */
function groupAmong(options: unknown): ProcessGroup | undefined {
  if (typeof options !== 'object' || options === null || types.isProxy(options)) return undefined;
  const given = Object.getOwnPropertyDescriptor(options, 'group')?.value;
  return ProcessGroup.is(given) && !given.disposed ? given : undefined;
}

/** Of so many of each rank: how many those of the ranks before `rank` are, and all. */
export function placeAmong(counts: readonly number[], rank: number): { before: number; total: number } {
  const sum = (list: readonly number[]) => list.reduce((total, each) => total + each, 0);
  return { before: sum(counts.slice(0, rank)), total: sum(counts) };
}

/**
 * Processes that do some operations together, each on data of its own: from `initProcessGroup`. Every rank has to ask for
 * the same operations in the same order. They run one after another, whether they are awaited or not; those that take
 * several meetings or compute before the first, as `allGather`, `lossAndGradient` and what is made with `{ group }`, are to be
 * awaited before the next.
 *
 * A rank that dies, hangs for longer than the timeout, leaves, or does something else than the others makes what all of them
 * have under way fail, and everything after it; a new group has to be made.
 */
export class ProcessGroup extends NativeObject<GroupHandle> {
  /** Which of the processes this one is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly worldSize: number;
  readonly backend: 'gloo' | 'nccl';
  /** Operations that were begun or wait, and the last of them. */
  #pending = 0;
  #last: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;

  static {
    guard(ProcessGroup, ProcessGroup.is);
  }

  /** @internal Whether it is one, and no Proxy or heir of one. */
  static is(value: unknown): value is ProcessGroup {
    return typeof value === 'object' && value !== null && #pending in value;
  }

  /** @internal */
  constructor(handle: GroupHandle, meeting: { rank: number; worldSize: number; backend: 'gloo' | 'nccl' }) {
    super(handle, 'the process group', 'initProcessGroup', (each) => addon().groupDispose(each));
    this.rank = meeting.rank;
    this.worldSize = meeting.worldSize;
    this.backend = meeting.backend;
    open.add(this);
  }

  /** Resolves once all ranks have come here. */
  async barrier(options?: TogetherOptions): Promise<void> {
    await ProcessGroup.#sum.promised(this, new Float32Array(), 'barrier', [], options);
  }

  /** The sum of an array over all ranks, which have ones of the same kind and length: the same bits on each. */
  async allReduce<F extends FloatArray>(values: F, options?: TogetherOptions): Promise<ResultArray<F>> {
    const name = 'allReduce';
    const { values: sum } = await ProcessGroup.#sum.promised(this, values, name, [], options);
    return sum as ResultArray<F>;
  }

  /** The arrays of all ranks, one after another in the order of the ranks: of the same kind, as long as they like. */
  async allGather<F extends FloatArray>(values: F, options?: TogetherOptions): Promise<ResultArray<F>> {
    const given = acceptedBy(this, () => copyOf(checkFloats(values, 'values')));
    const how = acceptedBy(this, () => TOGETHER_OPTIONS.read(options));
    const { before, total } = await this.placeOf(given.length, 'allGather', how);
    const all = floatArray(dtypeOf(given), total);
    all.set(given, before);
    const { values: sum } = await ProcessGroup.#sum.promised(this, all, 'allGather', [], how);
    return sum as ResultArray<F>;
  }

  /**
   * The number of this rank's first row among the rows of all ranks, in the order of the ranks, where it has `rows` of
   * them: for `fisher(problem, { firstRow })`, whose draws depend on the number of a row.
   */
  async firstRow(rows: number, options?: TogetherOptions): Promise<number> {
    const own = acceptedBy(this, () => wholeNumber(rows, 'rows', 0));
    return (await this.placeOf(own, 'firstRow', options)).before;
  }

  /** @internal `placeAmong` what each rank has, of which this one has `count`. */
  async placeOf(
    count: number,
    subject: string,
    options?: TogetherOptions,
  ): Promise<{ before: number; total: number }> {
    const said = await this.said([count], subject, options);
    return placeAmong(
      said.map(([each]) => each!),
      this.rank,
    );
  }

  /** @internal What each rank says, a few numbers. */
  async said(numbers: readonly number[], subject: string, options?: TogetherOptions): Promise<number[][]> {
    const all = new Float64Array(this.worldSize * numbers.length);
    all.set(numbers, this.rank * numbers.length);
    const { values } = await ProcessGroup.#sum.promised(this, all, subject, [], options);
    return Array.from({ length: this.worldSize }, (_, rank) => [
      ...values.subarray(rank * numbers.length, (rank + 1) * numbers.length),
    ]);
  }

  /** @internal The sums of some numbers, exact where they are whole, beside that of an array. */
  async sum(values: FloatArray, subject: string, extras: readonly number[], options?: TogetherOptions) {
    return ProcessGroup.#sum.promised(this, values, subject, extras, options);
  }

  /**
   * Ends the group: resolves once all ranks have closed theirs, or the group has failed. What is under way ends first; later
   * operations throw `ERR_DISPOSED`. To close once more does nothing.
   */
  async close(options?: TogetherOptions): Promise<void> {
    const signal = acceptedBy(this, () => checkSignal(TOGETHER_OPTIONS.read(options).signal));
    if (this.disposed) return this.#closing;
    open.delete(this);
    this.#closing ??= ProcessGroup.#close.promised(this, signal).finally(() => super.dispose());
    return this.#closing;
  }

  /** Ends the group without waiting for the other ranks: what they have under way fails. */
  override dispose(): void {
    open.delete(this);
    super.dispose();
  }

  /** What the end of an `await using` block calls. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** @internal */
  get free(): boolean {
    return this.#pending === 0;
  }

  /** @internal */
  async inTurn<Result>(work: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    const before = this.#last;
    const waits = this.#pending++ > 0;
    let end = () => {};
    this.#last = new Promise<void>((resolve) => {
      end = resolve;
    });
    const own = (async () => {
      try {
        if (waits) await before;
        signal?.throwIfAborted();
        return await work();
      } finally {
        this.#pending--;
        end();
      }
    })();
    try {
      return await unlessAborted(own, waits ? signal : undefined);
    } catch (error) {
      // The others may be waiting for what this rank no longer does.
      if (signal?.aborted) this.leave(false);
      throw error;
    }
  }

  /** @internal Work that the others wait for: where it fails here or is aborted, they are told. */
  async inCommon<Result>(work: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      this.leave(signal?.aborted !== true);
      throw error;
    }
  }

  /** @internal Tells the others, once, that this rank could not do its part, so that they do not wait for it. */
  leave(failed: boolean): void {
    if (!this.disposed) addon().groupLeave(this.handle, failed);
  }

  /**
   * @internal Takes part in what the ranks do next with the reason why this one does not: those that refuse the same as it go
   * on; where others do what was asked, the group fails, at once and with that reason.
   */
  refuse(error: unknown): void {
    const tell = () => {
      if (!this.disposed) addon().groupRefuse(this.handle, `a refused call: ${wordsOf(error)}`);
    };
    if (this.free) tell();
    else void this.inTurn(async () => tell(), undefined);
  }

  /** @internal */
  checkFree(): void {
    if (this.free) return;
    throw new TorchCurvatureError(
      'ERR_BUSY',
      'an operation with the process group is under way, which may need this thread: await it first, or the promised form',
    );
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'ProcessGroup';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { rank, worldSize, backend, disposed } = this;
    return inspected('ProcessGroup', { rank, worldSize, backend, disposed }, how);
  }

  static readonly #sum = operation(
    (
      group: ProcessGroup,
      values: FloatArray,
      subject: string,
      extras: readonly number[],
      options: TogetherOptions | undefined,
    ) => {
      const { signal } = TOGETHER_OPTIONS.read(options);
      const request = { group: group.handle, values: checkFloats(values, 'values'), subject, extras };
      return {
        name: 'groupSum',
        announced: subject,
        request,
        signal: checkSignal(signal),
        together: group,
        describe: () => ({}),
        result: (found: { values: ResultArray<FloatArray>; extras: number[] }) => found,
      };
    },
    (group) => group,
  );

  static readonly #close = operation((group: ProcessGroup, signal: AbortSignal | undefined) => ({
    name: 'groupClose',
    request: { group: group.handle },
    signal,
    together: group,
    describe: () => ({}),
    result: () => undefined,
  }));
}

/**
 * Joins this process with others, each of which calls this with its own rank, and resolves once all of them have. By
 * launchers as torchrun, Slurm and Kubernetes' PyTorchJob, whose environment says what is left out: `initProcessGroup()`.
 * Connections go over the interfaces that `GLOO_SOCKET_IFNAME` names, or that of the address of the host's name.
 *
 * @throws TorchCurvatureError `ERR_TIMEOUT` where ranks do not come within the timeout; `ERR_DISTRIBUTED` where the port is
 * taken, or ranks have different ideas of the group
 * @throws TypeError, RangeError for options and environment variables of the wrong kind or out of range
 */
export async function initProcessGroup(options?: ProcessGroupOptions): Promise<ProcessGroup> {
  return JOIN.promised(options);
}
