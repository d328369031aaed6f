/** Finds a Python that has PyTorch and other packages, or makes one. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

const TORCH = '2.13.0';
/** The CPU build first, from wherever pip is set up to look; PyTorch's own index where that lacks it. */
const INSTALLS = [
  [`torch==${TORCH}+cpu`],
  [`torch==${TORCH}+cpu`, '--index-url', 'https://download.pytorch.org/whl/cpu'],
  [`torch==${TORCH}`],
];

/**
 * A Python with the peers.
 * @param {string} [device] that they compute on
 */
export function pythonWithPeers(device = 'cpu') {
  const withJax = device === 'cpu';
  return pythonWith({
    name: 'peers',
    packages: withJax ? ['jax==0.10.2', 'numpy==2.4.6'] : [],
    imports: `${withJax ? 'import jax, numpy; ' : ''}from torch.func import linearize`,
    missing: 'The peers',
  });
}

/**
 * `$PYTHON`, or the `python3` on PATH, or a virtual environment under the user's cache that is made at the first call.
 * Returns undefined, after saying why, when there is none.
 *
 * @param {object} wanted
 * @param {string} wanted.name of the environment's folder
 * @param {readonly string[]} wanted.packages that are installed beside PyTorch
 * @param {string} wanted.imports Python that fails where something is not there
 * @param {string} wanted.missing what to call the packages in a message
 */
export async function pythonWith(wanted) {
  for (const python of [process.env.PYTHON, 'python3']) {
    if (python !== undefined && (await canImport(python, wanted.imports))) return python;
  }
  try {
    return await ownEnvironment(wanted);
  } catch (error) {
    console.error(
      `${wanted.missing} are not there and could not be installed: ${lastLine(error.stderr || error.message)}`,
    );
    return undefined;
  }
}

/**
 * Whether a Python's JAX knows a device. What pip installs by default knows the CPU alone.
 * @param {string} python
 * @param {string} device
 */
export function hasJax(python, device) {
  const backend = device === 'cpu' ? 'cpu' : 'gpu';
  return canImport(python, `import jax, numpy; jax.devices('${backend}')`);
}

async function canImport(python, imports) {
  try {
    await run(python, ['-c', imports]);
    return true;
  } catch {
    return false;
  }
}

/** Where what is made for benchmarks and comparisons is kept. */
export function cacheFolder() {
  return (
    process.env.TORCH_CURVATURE_CACHE ??
    join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'torch-curvature')
  );
}

async function ownEnvironment({ name, packages }) {
  const cache = cacheFolder();
  const folder = join(cache, `${name}-torch-${TORCH}`);
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;

  console.error(`Installing PyTorch ${TORCH} and ${packages.join(', ')} into ${folder} (once) …`);
  await rm(folder, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  await run('python3', ['-m', 'venv', folder]);
  await install(python, packages);
  await writeFile(complete, '');
  return python;
}

async function install(python, packages) {
  let failure;
  for (const requirement of INSTALLS) {
    try {
      await run(python, ['-m', 'pip', 'install', '--quiet', ...packages, ...requirement], {
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
