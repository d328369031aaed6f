/** A failure that the user can mend; its message says how. */
export class SetupError extends Error {
  /** @param {string} message */
  constructor(message) {
    super(message);
    this.name = 'SetupError';
  }
}

/**
 * Runs a script's body; a failure that can be mended is printed without a stack.
 * @param {() => Promise<void>} body
 */
export async function runScript(body) {
  try {
    await body();
  } catch (error) {
    console.error(error instanceof SetupError ? `\ntorch-curvature: ${error.message}` : error);
    process.exitCode = 1;
  }
}
