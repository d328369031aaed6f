import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SetupError } from './failure.mjs';
import { withLock } from './lock.mjs';
import { findAltered, isLibrary, recordFiles } from './manifest.mjs';
import { run, say } from './process.mjs';
import { digest, filesIn } from './stamp.mjs';
import { isTerminal } from './status-line.mjs';
import { requireToolchain } from './toolchain.mjs';

const NAME = 'torch_curvature.node';
const RECORD = 'libtorch.json';
const STAMP = 'stamp';
/** Lies in CMake's folder while it builds. */
const BUILDING = 'building';
const SOURCES = ['CMakeLists.txt', 'native'];
/** Header files only: no program of npm's takes part in a build, and none fetches anything. */
const HEADERS = ['node-addon-api', 'node-api-headers'];
/** The most that one compiler takes on these sources. */
const BYTES_PER_JOB = 1.5e9;
/** Longer than a compiler takes to write one result. */
const WRITING_MS = 60_000;

/** @typedef {import('./inspect.mjs').Libtorch} Libtorch */

/**
 * Builds the addon against a libtorch, unless that was done already, and puts it into `out`/Release with `libtorch.json`
 * beside it, which tells the loader what the addon was built for and what its and libtorch's files were then. CMake works
 * in `out`/cmake, away from node-gyp's files, and the addon is moved into place as a whole: processes that have the old
 * one loaded are not disturbed.
 * @param {string} root of the package
 * @param {Libtorch} libtorch
 * @param {{ out?: string, debug?: boolean, env?: NodeJS.ProcessEnv }} [options]
 */
export async function buildAddon(
  root,
  libtorch,
  { out = join(root, 'build'), debug = false, env = process.env } = {},
) {
  const configuration = {
    libtorch,
    root,
    debug,
    headers: await headerVersions(),
    cxx: [env.CXX ?? '', env.CXXFLAGS ?? ''],
    node: process.arch,
  };
  const stamp = await digest(root, SOURCES, configuration);
  const release = join(out, 'Release');
  const waiting = () => say('Another set-up is building the addon; waiting for it …');
  if (await isBuilt(release, stamp)) return;
  await withLock(
    join(out, 'lock'),
    async () => {
      if (await isBuilt(release, stamp)) return;
      await requireToolchain(env);
      const started = Date.now();
      const built = await compile(root, join(out, 'cmake'), configuration, env);
      await install(built, release, libtorch, stamp);
      say(`Built the addon in ${Math.round((Date.now() - started) / 1000)} s: ${join(release, NAME)}`);
    },
    waiting,
  );
}

/**
 * @param {string} release
 * @param {string} stamp
 */
async function isBuilt(release, stamp) {
  try {
    if ((await readFile(join(release, STAMP), 'utf8')) !== stamp) return false;
    const { path, libraries, addon } = JSON.parse(await readFile(join(release, RECORD), 'utf8'));
    return findAltered(release, addon) === undefined && findAltered(path, libraries) === undefined;
  } catch (error) {
    if (error.code === 'EACCES' || error.code === 'EPERM') throw error;
    return false;
  }
}

/**
 * @param {string} root
 * @param {string} folder CMake's
 * @param {{ libtorch: Libtorch, debug: boolean }} configuration
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<string>} the addon
 */
async function compile(root, folder, configuration, env) {
  const key = JSON.stringify(configuration);
  const keyFile = join(folder, 'configured.json');
  const built = join(folder, 'Release', NAME);
  const jobs = parallelJobs();
  const definitions = {
    CMAKE_BUILD_TYPE: configuration.debug ? 'Debug' : 'Release',
    CMAKE_CXX_FLAGS: ['-DBUILDING_NODE_EXTENSION', env.CXXFLAGS ?? ''].join(' ').trim(),
    LIBTORCH: configuration.libtorch.path,
    NODE_ADDON_API_DIR: packageFolder('node-addon-api'),
    NODE_API_HEADERS_DIR: packageFolder('node-api-headers'),
  };
  say(`Compiling the addon, ${jobs} file${jobs > 1 ? 's' : ''} at a time …`);
  if ((await readFile(keyFile, 'utf8').catch(() => '')) !== key) {
    // Anew: what CMake found for another compiler or generator does not count.
    await rm(join(folder, 'CMakeCache.txt'), { force: true });
    const defined = Object.entries(definitions).map(([name, value]) => `-D${name}=${value}`);
    await cmake(['-S', root, '-B', folder, ...(await generator(env)), ...defined], env);
    await writeFile(keyFile, key);
  }
  await removeUnfinished(folder);
  await rm(built, { force: true });
  await writeFile(join(folder, BUILDING), '');
  try {
    await cmake(['--build', folder, '--target', 'torch_curvature', '--parallel', String(jobs)], env);
  } finally {
    await rm(join(folder, BUILDING));
  }
  return built;
}

/**
 * What a run that was killed may have left half-written, and CMake would take for finished: the last that it wrote.
 * @param {string} folder CMake's
 */
async function removeUnfinished(folder) {
  if (!existsSync(join(folder, BUILDING))) return;
  const files = (await filesIn(folder)).filter((file) => /\.(o|obj|gch|pch|a|lib)$/.test(file));
  const times = await Promise.all(files.map(async (file) => (await stat(file)).mtimeMs));
  const newest = Math.max(...times);
  const last = files.filter((_, i) => times[i] >= newest - WRITING_MS);
  await Promise.all(last.map((file) => rm(file)));
}

/**
 * Ninja where there is one, unless CMAKE_GENERATOR asks for another.
 * @param {NodeJS.ProcessEnv} env
 */
async function generator(env) {
  if (env.CMAKE_GENERATOR || (await run('ninja', ['--version'], { env })).code !== 0) return [];
  return ['-G', 'Ninja'];
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 */
async function cmake(args, env) {
  const { MAKEFLAGS: _, MFLAGS: __, ...clean } = env; // those of a make around us are not for ours
  const { code, output } = await run('cmake', args, { env: clean, show: isTerminal(), supervised: true });
  if (code === 0) return;
  say(output);
  throw new SetupError(
    /No space left/.test(output)
      ? 'The addon could not be compiled: the disk is full. Make room and run the same command again.'
      : `The addon could not be compiled (cmake ${args[0]}); the messages of CMake and the compiler are above.`,
  );
}

/**
 * @param {string} built
 * @param {string} release
 * @param {Libtorch} libtorch
 * @param {string} stamp
 */
async function install(built, release, libtorch, stamp) {
  await mkdir(release, { recursive: true });
  await rm(join(release, STAMP), { force: true });
  const fresh = join(release, `${NAME}.new`);
  await copyFile(built, fresh);
  await rename(fresh, join(release, NAME));
  const libraries = (await readdir(join(libtorch.path, 'lib')))
    .filter(isLibrary)
    .map((name) => `lib/${name}`);
  const record = {
    ...libtorch,
    addon: recordFiles(release, [NAME]),
    libraries: recordFiles(libtorch.path, libraries),
  };
  await writeFile(join(release, RECORD), `${JSON.stringify(record, null, 2)}\n`);
  await writeFile(join(release, STAMP), stamp);
}

async function headerVersions() {
  const versions = HEADERS.map(async (name) => {
    const manifest = JSON.parse(await readFile(join(packageFolder(name), 'package.json'), 'utf8'));
    return [name, manifest.version];
  });
  return Object.fromEntries(await Promise.all(versions));
}

/**
 * Where the header files of a package lie: a release has them with the sources, as node-addon-api in `dependencies` would
 * have some package managers install node-gyp; in a clone npm put it beside this package or further up.
 * @param {string} name
 */
function packageFolder(name) {
  const shipped = fileURLToPath(new URL(`../../native/headers/${name}`, import.meta.url));
  if (existsSync(shipped)) return shipped;
  return dirname(createRequire(import.meta.url).resolve(`${name}/package.json`));
}

function parallelJobs() {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(totalmem() / BYTES_PER_JOB)));
}
