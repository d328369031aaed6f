/** Types of the raw addon for processes that compute together. */
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

/** Operations that exist as `name`, which returns a promise and may be stopped, and as `nameSync`. */
export interface GroupOperations {
  groupJoin: { request: RawMeeting; result: GroupHandle };
  /** Sums over the ranks; `subject` says what is added, and is the same on all of them. At most five extras. */
  groupSum: {
    request: { group: GroupHandle; values: FloatArray; subject: string; extras?: readonly number[] };
    result: { values: ResultArray<FloatArray>; extras: number[] };
  };
  /** Leaves, and waits until the others have left as well. */
  groupClose: { request: { group: GroupHandle }; result: undefined };
}

export interface GroupFunctions {
  /** Tells the others that an operation has failed here, or was stopped. */
  groupLeave(group: GroupHandle, failed: boolean): void;
  /** Leaves as `groupClose` does, without waiting. */
  groupDispose(group: GroupHandle): void;
  /** The operator of the data of all ranks. */
  operatorDistributed(own: OperatorHandle, group: GroupHandle): OperatorHandle;
}
