/** A run that ended without the answer the caller asked for; the message says all there is to say. */
export class RunFailure extends Error {}

/** A run that was ended from outside; the message says what it has left. */
export class Interruption extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Options that are fine each by itself but not together. */
export class UsageError extends Error {}

/** One line for people; with `debug` the stack and the causes as well. */
export function describeError(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  const code = (error as { code?: unknown }).code;
  const message = error.message.replace(/\s*\n\s*/g, ' ').trim() || error.name;
  // Node's own errors (ENOENT …) name their code in the message already.
  const line = typeof code === 'string' && !message.includes(code) ? `${message} (${code})` : message;
  if (!debug) return line;
  const cause = error.cause === undefined ? '' : `\ncaused by ${describeError(error.cause, true)}`;
  return `${line}\n${error.stack ?? ''}${cause}`;
}

export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}
