/** Makes a call and says what is wrong with how it ends. */
import { setImmediate as turn } from 'node:timers/promises';
import { types } from 'node:util';
import * as tc from 'torch-curvature';
import { ERROR_CODES } from '../../../lib/errors.ts';
import { bytesOf, type Made, type Plan } from './call.ts';
import { Sentinel } from './hostile.ts';

/** What no message should let people see. */
const INNARDS = /\.cpp\b|\.h:\d|aten\/src|c10\/|\/pytorch\/|bug to PyTorch|INTERNAL ASSERT|Exception raised/i;

/** Members without types, and what JavaScript's own `Error` refuses. */
const INTERNAL =
  /\.(is|toFlat|request|called|rowsOf|inputsOf|firstRows|rowVector|space|columnSpace|inverseBy|held|checked|handle|model|settled|cancel|Symbol\(nodejs\.util\.inspect\.custom\))$|^new TorchCurvatureError$|ProcessGroup\.prototype\.(sum|said|placeOf|inCommon|inTurn|checkFree|free|leave)$/;

/** Of the process, to which a call may put an end. */
const settings = tc.configure();

/** `accepted`, `refused`, or what is wrong with the call. A promise that never settles is for others to see. */
export async function judge(made: Made, { meanwhile }: Plan): Promise<string> {
  const { entry, self, args, around } = made;
  let outcome = 'accepted';
  try {
    const result = entry.invoke(self, args);
    if (meanwhile === 'detach') around.detachAll();
    if (meanwhile === 'dispose') around.disposeAll();
    if (meanwhile === 'write') for (const each of args) if (types.isFloat32Array(each)) scribble(each);
    dispose(types.isPromise(result) ? await result : result);
    // A generator does nothing before it is asked for values.
    if (types.isGeneratorObject(result)) for await (const _ of result as unknown as AsyncGenerator);
  } catch (error) {
    outcome = wrongError(error, made) ?? 'refused';
  }
  dispose(around.valid);
  if (entry.name === 'configure') tc.configure(settings);
  // For what was rejected and not looked at.
  if (/rejects/.test(made.text)) await turn();
  for (const [view, before] of made.inputs() ?? []) {
    if (Buffer.compare(bytesOf(view), before) !== 0) outcome = 'an input was changed';
  }
  return outcome;
}

function scribble(view: Float32Array): void {
  try {
    Float32Array.prototype.fill.call(view, 7);
  } catch {
    // Its memory is elsewhere.
  }
}

function dispose(value: unknown): void {
  try {
    (value as Partial<Disposable> | null | undefined)?.[Symbol.dispose]?.();
  } catch {
    // What the call made it refuse.
  }
}

function wrongError(error: unknown, { text, entry }: Made): string | undefined {
  // Not for callers, which shows in that the types leave it out; there it is enough not to crash.
  if (INTERNAL.test(entry.name)) return undefined;
  // What the caller's own functions threw comes out as it is.
  if (types.isProxy(error))
    return text.includes('rejects with a revoked proxy') ? undefined : 'a strange error';
  if (error instanceof Sentinel) return undefined;
  if (
    /Class constructors? .*without 'new'|'apply' on a proxy|^'\w+' on proxy/.test(
      String(Object(error).message),
    )
  )
    return undefined;
  if (error === undefined && /(rejects with|throws) undefined/.test(text)) return undefined;
  if (!types.isNativeError(error)) return `no error, but ${typeof error} ${String(error)}`;
  const { code, message, stack } = error as Error & { code?: unknown };
  const kinds = [tc.TorchCurvatureError, TypeError, RangeError];
  if (
    !kinds.some((kind) => error instanceof kind) ||
    typeof code !== 'string' ||
    !Object.hasOwn(ERROR_CODES, code)
  ) {
    return `no code: ${stack}`;
  }
  if (message === '' || INNARDS.test(message)) return `its message: ${message}`;
  return undefined;
}
