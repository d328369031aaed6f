/** Types of the raw addon for processes that compute together. */
import type { RawOperatorOnly } from './operators.ts';
import type { GroupHandle, OperatorHandle } from './requests.ts';
import type { FloatArray, ResultArray } from './values.ts';

/** Where ranks meet, and which of them this process is. */
export interface RawMeeting {
  backend: string;
  rank: number;
  worldSize: number;
  host: string;
  port: number;
  /** Whether this process keeps the store by which they find one another. */
  serves: boolean;
  /** Of the group's keys, in a store that others use, too. */
  prefix: string;
  /** Milliseconds. */
  timeout: number;
}

/** The rows of all ranks, one rank's below another's. */
export interface RawStack {
  operator: OperatorHandle;
  group: GroupHandle;
  /** Of all ranks, [N, …]. */
  outputShape: readonly number[];
  /** Of the N, those of the ranks before this one. */
  before: number;
  /** Of each of the N; with them, what `operator` multiplied by their roots is centered. */
  weights?: FloatArray | undefined;
  /** A Aᵀ in place of A, with `trace` summed over the outputs of each of the N. */
  kernel: boolean;
  trace: boolean;
}

/** Operations that exist as `name`, which returns a promise and may be stopped, and as `nameSync`. */
export interface GroupOperations {
  groupJoin: { request: RawMeeting; result: GroupHandle };
  /** Sums over the ranks; `subject` says what is added, and is the same on all of them. At most five extras. */
  groupSum: {
    request: { group: GroupHandle; values: FloatArray; subject: string; extras?: readonly number[] };
    result: { values: ResultArray<FloatArray>; extras: number[] };
  };
  /** The Kronecker factors of the rows of all ranks, or eigenvalues in one basis. */
  kroneckerTogether: { request: RawOperatorOnly & { group: GroupHandle }; result: OperatorHandle };
  /** Leaves, and waits until the others have left as well. */
  groupClose: { request: { group: GroupHandle }; result: undefined };
}

export interface GroupFunctions {
  /** Tells the others that an operation has failed here, or was stopped. */
  groupLeave(group: GroupHandle, failed: boolean): void;
  /** Takes part in what all ranks do next with words that say why it does not. */
  groupRefuse(group: GroupHandle, reason: string): void;
  /** Leaves as `groupClose` does, without waiting. */
  groupDispose(group: GroupHandle): void;
  /** The operator of the data of all ranks. */
  operatorDistributed(own: OperatorHandle, group: GroupHandle): OperatorHandle;
  /** One with the rows of all ranks, or its square. */
  operatorStacked(stack: RawStack): OperatorHandle;
}
