/** Finds a Python that has the peers, or makes one. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const TORCH = '2.13.0';
const OTHERS = ['jax==0.10.2', 'numpy==2.4.6'];
const IMPORTS = 'import jax, numpy; from torch.func import linearize';
/** The CPU build first, from wherever pip is set up to look; PyTorch's own index where that lacks it. */
const INSTALLS = [
  [`torch==${TORCH}+cpu`],
  [`torch==${TORCH}+cpu`, '--index-url', 'https://download.pytorch.org/whl/cpu'],
  [`torch==${TORCH}`],
];

/**
 * `$PYTHON`, or the `python3` on PATH, or a virtual environment under the user's cache that is made at the first call.
 * Returns undefined, after saying why, when there is none.
 */
export async function pythonWithPeers() {
  for (const python of [process.env.PYTHON, 'python3']) {
    if (python !== undefined && (await hasPeers(python))) return python;
  }
  try {
    return await ownEnvironment();
  } catch (error) {
    console.error(
      `The peers are not there and could not be installed: ${lastLine(error.stderr || error.message)}`,
    );
    return undefined;
  }
}

async function hasPeers(python) {
  try {
    await run(python, ['-c', IMPORTS]);
    return true;
  } catch {
    return false;
  }
}

async function ownEnvironment() {
  const cache =
    process.env.TORCH_CURVATURE_CACHE ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'torch-curvature');
  const folder = join(cache, `peers-torch-${TORCH}`);
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;

  console.error(`Installing PyTorch ${TORCH} and ${OTHERS.join(', ')} into ${folder} (once) …`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  await run('python3', ['-m', 'venv', folder]);
  await installTorch(python);
  await writeFile(complete, '');
  return python;
}

async function installTorch(python) {
  let failure;
  for (const requirement of INSTALLS) {
    try {
      await run(python, ['-m', 'pip', 'install', '--quiet', ...OTHERS, ...requirement], {
        maxBuffer: 2 ** 26,
      });
      return;
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

function lastLine(text) {
  return text.trim().split('\n').at(-1);
}
