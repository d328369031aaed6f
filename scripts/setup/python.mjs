import { SetupError } from './failure.mjs';
import { run } from './process.mjs';
import { PLATFORMS, PYTHON_VERSION } from './releases.mjs';
import { isTerminal } from './status-line.mjs';

export const PYTHON = process.platform === 'win32' ? 'python' : 'python3';

/** How to go on without a download; ends the messages about failed ones. */
export const BRING_YOUR_OWN =
  'To use a libtorch of your own instead, set LIBTORCH to its folder, or LIBTORCH_USE_PYTORCH=1 to take the ' +
  `PyTorch installed for ${PYTHON}.`;

/** @param {NodeJS.ProcessEnv} env */
export async function requirePip(env) {
  const { code, output } = await run(PYTHON, ['-m', 'pip', '--version'], { env });
  if (code === 0) return;
  const missing =
    code === 127 ? `${PYTHON} was not found` : `${PYTHON} has no pip (${output.trim().split('\n').at(-1)})`;
  throw new SetupError(
    `libtorch is downloaded with Python's pip, but ${missing}. ` +
      `Install it (Debian, Ubuntu: apt install python3-pip). ${BRING_YOUR_OWN}`,
  );
}

/**
 * Downloads wheels into a folder with the user's own pip configuration. Returns what pip printed when it failed.
 * @param {readonly string[]} requirements and options
 * @param {string} folder
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>}
 */
export async function pipDownload(requirements, folder, env) {
  const show = isTerminal();
  const { code, output } = await run(
    PYTHON,
    [
      ...['-m', 'pip', 'download', '--only-binary=:all:', '--no-deps', '--python-version', PYTHON_VERSION],
      ...platformTags().flatMap((tag) => ['--platform', tag]),
      ...['--dest', folder, ...(show ? [] : ['--progress-bar', 'off']), ...requirements],
    ],
    { env, show },
  );
  return code === 0 ? undefined : output.trim() || 'see above';
}

function platformTags() {
  const tags = PLATFORMS[`${process.platform}-${process.arch}`];
  if (tags) return tags;
  throw new SetupError(
    `No libtorch is known to download for ${process.platform} ${process.arch}. ${BRING_YOUR_OWN}`,
  );
}
