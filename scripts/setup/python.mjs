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
  const reason =
    { 127: `${PYTHON} was not found`, 126: `${PYTHON} may not be run (${output.trim()})` }[code] ??
    `${PYTHON} has no pip (${output.trim().split('\n').at(-1)})`;
  throw new SetupError(
    `libtorch is downloaded with Python's pip, but ${reason}. ` +
      `Install it (Debian, Ubuntu: apt install python3-pip). ${BRING_YOUR_OWN}`,
  );
}

/**
 * Downloads wheels with the user's own pip configuration, compares them with their pinned digests and unpacks them.
 * @param {string} requirements file that names them with their digests
 * @param {readonly string[]} options such as `--index-url`
 * @param {{ target: string, temporary: string }} folders that exist: for the result, and on the same disk for pip's work
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string | undefined>} what pip printed when it failed
 */
export async function pipInstall(requirements, options, { target, temporary }, env) {
  const show = isTerminal();
  const { code, output } = await run(
    PYTHON,
    [
      ...['-m', 'pip', 'install', '--target', target, '--requirement', requirements, '--require-hashes'],
      ...['--no-deps', '--only-binary=:all:', '--python-version', PYTHON_VERSION],
      ...platformTags().flatMap((tag) => ['--platform', tag]),
      // The result is a cache itself, and serves no Python.
      ...['--no-cache-dir', '--no-compile', '--no-warn-script-location'],
      // What the user may have set for ordinary installations, and what goes with no --target.
      ...['--no-user', ...(show ? [] : ['--progress-bar', 'off']), ...options],
    ],
    {
      env: {
        ...env,
        ...{ TMPDIR: temporary, TEMP: temporary, TMP: temporary },
        PIP_REQUIRE_VIRTUALENV: '0',
        PIP_ROOT_USER_ACTION: 'ignore',
      },
      show,
      supervised: true,
    },
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
