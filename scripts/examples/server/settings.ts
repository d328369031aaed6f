const MIB = 2 ** 20;

/** What the server is started with: environment variables, and what they are by default. */
const DEFAULTS = {
  /** Where it listens. */
  PORT: 8080,
  /** Bytes of a request's body; more is 413. */
  BODY_LIMIT: 4 * MIB,
  /** Milliseconds of a request, its time in the queue included; more is 503. */
  REQUEST_TIMEOUT: 30_000,
  /** Milliseconds that requests have to end once the server was told to. */
  SHUTDOWN_TIMEOUT: 10_000,
  /** Operations that compute at once, and that may wait for them; one more is 503. */
  CONCURRENCY: 2,
  MAX_QUEUE: 16,
  /** Bytes that all operations may hold together; more is 507. */
  MEMORY_LIMIT: 1024 * MIB,
};

export type Settings = Record<keyof typeof DEFAULTS, number> & {
  readonly HOST: string;
  /** The folder of the models. */
  readonly MODELS: string;
};

/** @throws Error that names the variable which is wrong */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const numbers = Object.entries(DEFAULTS).map(([name, value]) => {
    const number = Number(environment[name] ?? value);
    if (!Number.isSafeInteger(number) || number < 0) {
      throw new Error(`${name} should be a whole number, got ${environment[name]}`);
    }
    return [name, number];
  });
  return {
    ...(Object.fromEntries(numbers) as Record<keyof typeof DEFAULTS, number>),
    HOST: environment.HOST ?? '127.0.0.1',
    MODELS: environment.MODELS ?? 'scripts/examples/server/models',
  };
}
