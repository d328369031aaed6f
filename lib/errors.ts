/**
 * Failures that a caller can cause. Each has a stable `code`; messages name the argument, what was given and what was
 * expected, and may change between versions.
 */
import { types } from 'node:util';

/** What the codes mean. */
export const ERROR_CODES = {
  ERR_INVALID_ARGUMENT: 'an argument of the wrong kind (a TypeError) or out of range (a RangeError)',
  ERR_SHAPE_MISMATCH: 'a length or shape that does not fit the model or the other arguments',
  ERR_DTYPE_MISMATCH: 'an array of another element type than is needed',
  ERR_DETACHED_BUFFER: 'an array whose memory was transferred elsewhere',
  ERR_DEVICE_UNAVAILABLE: 'a device that does not exist or cannot be used here',
  ERR_NO_CONVERGENCE: 'a product with an inverse whose solver did not reach its tolerance',
  ERR_OUT_OF_MEMORY: 'more memory needed than there is, found before allocating where that can be told',
  ERR_BUSY: 'more operations than may wait, by the option maxQueue of configure()',
  ERR_MODEL_LOAD: 'a model that is damaged or is not what it claims to be',
  ERR_TIMEOUT: 'ranks of a process group that did not come, or not answer, within its timeout',
  ERR_UNTRUSTED_MODEL: 'a TorchScript file, which is code, loaded without { trusted: true }',
  ERR_UNSUPPORTED_OP:
    'an operator that is unknown, random, changes its inputs, or lacks the derivative needed',
  ERR_DISPOSED: 'an object that was used after its dispose()',
  ERR_DISTRIBUTED:
    'a process group whose ranks cannot be reached, have left or died, or do not ask for the same things',
  ERR_PROFILER_BUSY: 'a profile begun while another one is being recorded',
  ERR_ACCESS_DENIED: 'a file of the addon or of libtorch that this process is not allowed to read or to load',
  ERR_ADDON_MISSING: 'the native addon was not built, was altered, or is for another platform',
  ERR_LIBTORCH_MISSING: 'the libtorch that the addon was built with is gone, incomplete or altered',
  ERR_LIBTORCH_VERSION: 'a libtorch of another version than the addon was built for',
  ERR_LIBTORCH: 'any other failure inside libtorch',
} as const;

/** The `code` of an error; stable, unlike messages. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** How deep a call goes inside the package, at most, before its arguments are refused. */
const OWN_PLACES = 20;

/**
 * Takes an error's stack with room for the package's own places: they can fill the ten that Node keeps by default, and the
 * caller's line would not be among them.
 *
 * @param maker the function that is left out, with what it calls
 */
function traced<E extends Error>(error: E, maker: (...given: never) => unknown): E {
  const { stackTraceLimit: limit, captureStackTrace: capture } = Error;
  // Where no stacks are wanted, or what is built in is frozen or another's, the error stays as it is.
  if (typeof limit !== 'number' || !(limit > 0) || typeof capture !== 'function') return error;
  try {
    if (!Reflect.set(Error, 'stackTraceLimit', limit + OWN_PLACES)) return error;
    Error.captureStackTrace(error, maker);
  } catch {
    // What the caller has put there throws.
  } finally {
    Reflect.set(Error, 'stackTraceLimit', limit);
  }
  return error;
}

/** An error with a stable code. Wrong arguments give a `TypeError` or a `RangeError` with a `code` instead. */
export class TorchCurvatureError extends Error {
  override readonly name = 'TorchCurvatureError';
  /** Says what kind of failure this is. */
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    traced(this, TorchCurvatureError as never);
  }
}

type Coded<E extends Error> = E & { readonly code: ErrorCode };

function coded<E extends Error>(error: E, maker: (...given: never) => unknown): Coded<E> {
  return Object.assign(traced(error, maker), { code: 'ERR_INVALID_ARGUMENT' as const });
}

/** An argument of the wrong kind. */
export function wrongType(message: string): Coded<TypeError> {
  return coded(new TypeError(message), wrongType);
}

/** An argument of the right kind whose value is not allowed. */
export function outOfRange(message: string, options?: ErrorOptions): Coded<RangeError> {
  return coded(new RangeError(message, options), outOfRange);
}

/** How the addon says that a stop handle was used; callers see the signal's reason instead. */
export const ABORTED = 'ABORTED';

/** Calls the addon, throwing what a caller should see of its errors. */
export function translated<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

/** Carries what a function of the caller's threw through the addon, unread: it may be anything. */
class Thrown extends Error {
  readonly reason: unknown;

  constructor(reason: unknown) {
    super('a function of the caller failed');
    this.reason = reason;
  }
}

/** Calls a function of the caller's on the addon's behalf; `fromNative` gives back what it throws or rejects with. */
export async function carrying<T>(call: () => T | Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (reason) {
    throw new Thrown(reason);
  }
}

/** The error a caller sees for one that the addon threw. */
export function fromNative(error: unknown): unknown {
  if (error instanceof Thrown) return error.reason;
  if (error instanceof TorchCurvatureError) return error;
  // Errors of the addon are of its own realm, which in Jest and vm contexts is not that of this module.
  if (!types.isNativeError(error)) return error;
  const code = (error as { code?: unknown }).code;
  if (typeof code !== 'string' || !Object.hasOwn(ERROR_CODES, code)) return error;
  if (code === 'ERR_INVALID_ARGUMENT') return outOfRange(error.message);
  return new TorchCurvatureError(code as ErrorCode, error.message, { cause: error });
}
