/**
 * Makes one archive that a machine without a network builds, tests and measures with: `npm run pack:offline`. In it are
 * Node's binary, the sources, `dist/`, and the npm packages of the build and the tests; a C++ compiler, CMake, Python and a
 * PyTorch are the machine's own. `scripts/docs/install.md` says how it is used.
 */
import { spawnSync } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, rm, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import './setup.mjs';
import { packageFolders } from './offline/packages.mjs';
import { must, readJson } from './release/files.mjs';
import { runScript, SetupError } from './setup/failure.mjs';
import { say } from './setup/process.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const out = join(root, 'build', 'offline');

/** What the build, the tests, the command line's bench and the comparison with PyTorch import. */
const PACKAGES = [
  ...['node-addon-api', 'node-api-headers', 'yauzl'],
  ...['vitest', 'fast-check', 'npyjs', 'cli-table3', 'commander', 'uplot'],
];
const SOURCES = [
  ...['CMakeLists.txt', 'native', 'lib', 'dist', 'scripts', 'test'],
  ...['package.json', 'tsconfig.json', 'vitest.config.ts', 'LICENSE', 'README.md'],
];
/** What of these no one needs there. */
const LEFT_OUT = /\.map$|^scripts\/(soak|examples|release|coverage|sanitize)\/./;
/** What a Node that runs elsewhere may ask of the system: the C and C++ libraries. */
const OF_THE_SYSTEM = /^(linux-vdso|ld-linux[^/]*|lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+))\.so/;
/** The most that the archive may weigh. */
const LIMIT_BYTES = 60e6;

await runScript(async () => {
  const { version } = await readJson(join(root, 'package.json'));
  const name = `torch-curvature-${version}-offline-${process.platform}-${process.arch}`;
  const folder = join(out, name);
  await rm(out, { recursive: true, force: true });
  await mkdir(join(folder, 'bin'), { recursive: true });

  await requirePortableNode();
  await copyFile(process.execPath, join(folder, 'bin', 'node'));
  // Of its symbols nothing is needed.
  spawnSync('strip', [join(folder, 'bin', 'node')]);
  await copyFile(join(root, 'scripts', 'offline', 'run.sh'), join(folder, 'run.sh'));
  await chmod(join(folder, 'run.sh'), 0o755);

  for (const path of [...SOURCES, ...(await packageFolders(root, PACKAGES))]) {
    const to = join(folder, 'package', path);
    await mkdir(dirname(to), { recursive: true });
    const filter = (file) => !LEFT_OUT.test(relative(root, file));
    await cp(join(root, path), to, { recursive: true, filter });
  }

  const archive = join(out, `${name}.tar.xz`);
  say('Packing …');
  await must('tar', ['-cJf', archive, '-C', out, '--owner=0', '--group=0', name], {
    env: { ...process.env, XZ_OPT: '-6 -T0' },
  });
  await rm(folder, { recursive: true });
  const { size } = await stat(archive);
  say(`${(size / 1e6).toFixed(1)} MB: ${archive}`);
  if (size > LIMIT_BYTES) throw new SetupError(`The archive should weigh ${LIMIT_BYTES / 1e6} MB at most.`);
});

/** Distributions split Node into libraries that another machine does not have. */
async function requirePortableNode() {
  if (process.platform !== 'linux') throw new SetupError('The offline archive is for Linux, and made there.');
  const libraries = [...(await must('ldd', [process.execPath])).matchAll(/^\s*(\S+)/gm)].map(([, path]) =>
    path.split('/').at(-1),
  );
  const strange = libraries.filter((library) => !OF_THE_SYSTEM.test(library));
  if (strange.length === 0) return;
  throw new SetupError(
    `This Node needs ${strange.join(', ')}, which other machines may not have: run this with the Node of nodejs.org.`,
  );
}
