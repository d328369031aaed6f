/** Functions of the package that are one operation of the addon each: the promise and its `…Sync` twin, made together. */
import { copyOf, type FloatArray } from '../arrays.ts';
import type { Operations } from './interface.ts';
import { run, runSync } from './run.ts';

/** Several processes that do operations together, in one order and one after another. */
export interface Together {
  /** Whether no operation is under way, so that one that is begun now begins at once. */
  readonly free: boolean;
  /** Runs an operation once those before it have ended. */
  inTurn<Result>(work: () => Promise<Result>, signal: AbortSignal | undefined): Promise<Result>;
  /** Throws where one that is begun on this thread would have to wait for what may need this thread. */
  checkFree(): void;
  /** Tells the others, who may wait for it, that this process refused what it was asked for. */
  refuse(error: unknown): void;
  /** Tells the others that this process could not do its part (`failed`), or was stopped. */
  leave(failed: boolean): void;
}

/** What a call asks of the addon, once its arguments were checked. */
export type Asked<Result> = {
  [Name in keyof Operations]: {
    name: Name;
    request: Operations[Name]['request'];
    signal: AbortSignal | undefined;
    /** With whom it is done. */
    together?: Together | undefined;
    /** What is said of the call on the tracing channel. */
    describe: () => object;
    /** What diagnostics call it; by default `name`. */
    announced?: string;
    /** What the caller gets for what the addon gives. */
    result: (given: Operations[Name]['result']) => Result;
    /** What the promised form waits for after the operation: what rejects it then. */
    heard?: () => Promise<unknown> | undefined;
    /** What a function of the caller's threw, which is then why the operation failed, whatever came of it. */
    thrown?: () => { error: unknown } | undefined;
    /** Called once the operation has ended, however it did. */
    release?: () => void;
  };
}[keyof Operations];

/** The two forms of a function. */
export interface Operation<Given extends unknown[], Result> {
  /** Runs on the executor's threads. Rejects, and never throws, for wrong arguments too. */
  promised(...given: Given): Promise<Result>;
  /** Runs on the calling thread. */
  sync(...given: Given): Result;
}

/** What a check of arguments gives; where it refuses them, those hear of it who are asked the same. */
export function acceptedBy<Given>(together: Pick<Together, 'refuse'> | undefined, check: () => Given): Given {
  try {
    return check();
  } catch (error) {
    together?.refuse(error);
    throw error;
  }
}

/**
 * @param ask checks the arguments of a call, each once, and says what the addon is asked
 * @param togetherOf by its first argument, who else is asked the same and waits where the arguments are refused here
 */
export function operation<Given extends unknown[], Result>(
  ask: (...given: Given) => Asked<Result>,
  togetherOf?: (first: NoInfer<Given>[0]) => Together | undefined,
): Operation<Given, Result> {
  const accepted = (given: Given) => acceptedBy(togetherOf?.(given[0]), () => ask(...given));
  return {
    async promised(...given) {
      const asked = accepted(given);
      try {
        const found = await started(asked);
        await asked.heard?.();
        return finish(asked, found);
      } catch (error) {
        throw reasonFor(asked, error);
      } finally {
        asked.release?.();
      }
    },
    sync(...given) {
      const asked = accepted(given);
      try {
        asked.together?.checkFree();
        return finish(asked, runSync(asked.name, asked.request, asked.signal, described(asked, 'Sync')));
      } catch (error) {
        throw reasonFor(asked, error);
      } finally {
        asked.release?.();
      }
    },
  };
}

function reasonFor({ thrown }: Asked<unknown>, error: unknown): unknown {
  const own = thrown?.();
  return own === undefined ? error : own.error;
}

function started(asked: Asked<unknown>): Promise<Operations[keyof Operations]['result']> {
  const { name, signal, together } = asked;
  const describe = described(asked, '');
  if (together === undefined) return run(name, asked.request, signal, describe);
  // What waits is asked with what the arrays hold now.
  const request = together.free ? asked.request : held(asked.request);
  return together.inTurn(() => run(name, request, signal, describe), signal);
}

function held<Request extends object>(request: Request): Request {
  const copies = Object.entries(request)
    .filter(([name, value]) => name !== 'out' && ArrayBuffer.isView(value))
    .map(([name, value]) => [name, copyOf(value as FloatArray)]);
  return { ...request, ...Object.fromEntries(copies) };
}

function described({ announced, describe }: Asked<unknown>, form: '' | 'Sync'): () => object {
  if (announced === undefined) return describe;
  return () => ({ operation: `${announced}${form}`, kind: announced, ...describe() });
}

function finish<Result>({ result }: Asked<Result>, given: Operations[keyof Operations]['result']): Result {
  // The two belong to one operation, which the compiler no longer knows.
  return (result as (given: unknown) => Result)(given);
}
