/** A failure that the user can mend; its message says how. */
export class SetupError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = 'SetupError';
  }
}

/** What the system's refusals mean to someone who sets up a package. */
const REASONS = {
  EACCES: 'this user may not do that',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'something that is not a folder is in the way',
  EFBIG: 'the limit on the size of a file is reached (ulimit -f)',
  EIO: 'the disk cannot be read or written',
  ELOOP: 'links lead in a circle',
  EMFILE: 'too many files are open (ulimit -n)',
  ENAMETOOLONG: 'the path is too long',
  ENOENT: 'a folder of the path does not exist, cannot be made, or is a link to nothing',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a file is where a folder is needed',
  EPERM: 'that is not permitted',
  EROFS: 'the file system is read-only',
};

/**
 * Does something with files; what the system refuses becomes a failure that says what it means and how to go on.
 * @template T
 * @param {string | undefined} place what is worked on, `The cache /home/me/.cache/torch-curvature`, or else the file itself
 * @param {string} mend how to go on
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
export async function explaining(place, mend, work) {
  try {
    return await work();
  } catch (error) {
    const reason = REASONS[error.code];
    if (reason === undefined) throw error;
    const what = place ?? error.path ?? 'A file';
    throw new SetupError(`${what} cannot be used: ${reason} (${error.message}).\n${mend}`, { cause: error });
  }
}

/**
 * Runs a script's body; a failure that can be mended is printed without a stack.
 * @param {() => Promise<void>} body
 */
export async function runScript(body) {
  try {
    await explaining(undefined, 'Mend that and run the same command again.', body);
  } catch (error) {
    console.error(error instanceof SetupError ? `\ntorch-curvature: ${error.message}` : error);
    process.exitCode = 1;
  }
}
