/** Functions of the package that are one operation of the addon each: the promise and its `…Sync` twin, made together. */
import type { Operations } from './interface.ts';
import { run, runSync } from './run.ts';

/** What a call asks of the addon, once its arguments were checked. */
export type Asked<Result> = {
  [Name in keyof Operations]: {
    name: Name;
    request: Operations[Name]['request'];
    signal: AbortSignal | undefined;
    /** What is said of the call on the tracing channel. */
    describe: () => object;
    /** What diagnostics call it; by default `name`. */
    announced?: string;
    /** What the caller gets for what the addon gives. */
    result: (given: Operations[Name]['result']) => Result;
    /** What the promised form waits for after the operation: what rejects it then. */
    heard?: () => Promise<unknown> | undefined;
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

/** @param ask checks the arguments of a call, each once, and says what the addon is asked */
export function operation<Given extends unknown[], Result>(
  ask: (...given: Given) => Asked<Result>,
): Operation<Given, Result> {
  return {
    async promised(...given) {
      const asked = ask(...given);
      try {
        const found = await run(asked.name, asked.request, asked.signal, described(asked, ''));
        await asked.heard?.();
        return finish(asked, found);
      } finally {
        asked.release?.();
      }
    },
    sync(...given) {
      const asked = ask(...given);
      try {
        return finish(asked, runSync(asked.name, asked.request, asked.signal, described(asked, 'Sync')));
      } finally {
        asked.release?.();
      }
    },
  };
}

function described({ announced, describe }: Asked<unknown>, form: '' | 'Sync'): () => object {
  if (announced === undefined) return describe;
  return () => ({ operation: `${announced}${form}`, kind: announced, ...describe() });
}

function finish<Result>({ result }: Asked<Result>, given: Operations[keyof Operations]['result']): Result {
  // The two belong to one operation, which the compiler no longer knows.
  return (result as (given: unknown) => Result)(given);
}
