/**
 * A release as its users get it: published to a registry, installed by each package manager on a machine without compiler
 * and Python, put back without a network, and used as programs, in tests and in bundles.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { Machine } from './machine.ts';
import { MANAGERS, type Manager } from './managers.ts';
import { CJS, ESM, JEST, OUTPUT } from './programs.ts';
import { Registry, runtimeDependencies } from './registry.ts';
import { must } from './run.ts';
import { Tools } from './tools.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const LONG = 10 * 60_000;

interface Packed {
  name: string;
  version: string;
  tarball: string;
  packed: number;
  unpacked: number;
}

let tools: Tools;
let machine: Machine;
let registry: Registry;
let packages: Packed[];
/** What the main package says of itself. */
let released: { dependencies: Record<string, string>; scripts?: unknown };

beforeAll(async () => {
  await must(process.execPath, [join(ROOT, 'scripts/release.mjs')], { cwd: ROOT });
  packages = JSON.parse(readFileSync(join(ROOT, 'build/release/packages.json'), 'utf8'));
  tools = await Tools.install();
  machine = new Machine();
  registry = await Registry.start(join(machine.folder, 'registry'), tools);
  for (const { tarball } of packages) await registry.publish(tarball);
  released = JSON.parse(readFileSync(join(ROOT, 'build/release/main/package.json'), 'utf8'));
  for (const folder of runtimeDependencies(ROOT, released)) await registry.republish(folder);
}, 2 * LONG);

afterAll(async () => {
  await registry?.stop();
  machine?.remove();
});

it('is a package of JavaScript, the addon, and libtorch as that needs it', async () => {
  const system = `${process.platform}-${process.arch}`;
  expect(packages.map(({ name }) => name)).toEqual([
    'torch-curvature',
    `@torch-curvature/${system}`,
    `@torch-curvature/libtorch-cpu-${system}`,
  ]);
  const [main, addon, libtorch] = packages.map(({ packed }) => packed / 1e6);
  expect(main).toBeLessThan(1.5);
  expect(addon).toBeLessThan(3);
  expect(libtorch).toBeLessThan(120);
  const files = async ({ tarball }: Packed) =>
    (await must('tar', ['-tzf', tarball])).trim().split('\n').sort();
  expect((await files(packages[0]!)).filter((name) => /\.(node|so)\b/.test(name))).toEqual([]);
  expect(await files(packages[1]!)).toEqual(
    ['LICENSE', 'README.md', 'index.cjs', 'libtorch.json', 'package.json', 'torch_curvature.node'].map(
      (name) => `package/${name}`,
    ),
  );
  expect(Object.keys(released.dependencies)).toEqual(['yauzl']);
  expect(released.scripts).toBeUndefined();
  const content = await files(packages[2]!);
  expect(content).toContain('package/licenses/LICENSE');
  expect(content.filter((name) => /\.(h|a|cmake|py)$|torch_python/.test(name))).toEqual([]);
});

it('is tried where there is neither compiler nor Python', async () => {
  expect(machine.programs()).toEqual(['env', 'node', 'sh']);
  const programs = ['cc', 'c++', 'gcc', 'g++', 'clang', 'cmake', 'make', 'ninja', 'python', 'python3'];
  for (const name of programs)
    expect((await machine.run(machine.home, 'sh', ['-c', `command -v ${name}`])).code).not.toBe(0);
});

describe.each(MANAGERS)('with $name', (manager) => {
  it('installs in seconds, and computes from ESM and CommonJS', { timeout: LONG }, async () => {
    const project = machine.project(folderOf(manager), {
      ...manager.files(registry.url),
      'main.cjs': CJS,
      'main.mjs': ESM,
    });
    await timed(manager.name, () => machine.must(project, ...manager.add(tools)));
    await computes(manager, project);
  });
});

describe('bundled', () => {
  let project: string;

  beforeAll(() => {
    project = join(machine.home, folderOf(MANAGERS[0]!));
  });

  /** Runs a bundler as the user. */
  const bundle = (file: string, ...args: string[]) =>
    machine.must(project, process.execPath, [file, ...args]);
  const output = (file: string) => machine.must(project, process.execPath, [file]);

  it.each([
    ['all of it', []],
    ['left outside', ['--external:torch-curvature']],
  ])('by esbuild, %s', { timeout: LONG }, async (_, options) => {
    const esbuild = tools.bin('esbuild');
    await bundle(esbuild, 'main.mjs', '--bundle', '--platform=node', '--outfile=out/esbuild.cjs', ...options);
    expect(await output('out/esbuild.cjs')).toBe(OUTPUT);
    // What esbuild's own documentation has for CommonJS in ES modules.
    const banner =
      '--banner:js=import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
    const esm = ['--format=esm', '--outfile=out/esbuild.mjs', banner];
    await bundle(esbuild, 'main.mjs', '--bundle', '--platform=node', ...esm, ...options);
    expect(await output('out/esbuild.mjs')).toBe(OUTPUT);
  });

  it.each([
    ['all of it', {}],
    ['left outside', { externals: { 'torch-curvature': 'commonjs torch-curvature' } }],
  ])('by webpack, %s', { timeout: LONG }, async (_, options) => {
    const output_ = { path: join(project, 'out'), filename: 'webpack.cjs' };
    const configuration = {
      mode: 'production',
      target: 'node',
      entry: './main.mjs',
      output: output_,
      ...options,
    };
    const call = `require(${JSON.stringify(tools.module('webpack'))})({ context: process.cwd(), ...${JSON.stringify(configuration)} },
      (error, stats) => { if (error || stats.hasErrors()) { console.error(error ?? stats.toString()); process.exit(1); } });`;
    machine.write(project, { 'webpack.run.cjs': call });
    await bundle('webpack.run.cjs');
    expect(await output('out/webpack.cjs')).toBe(OUTPUT);
  });

  it.each([
    ['all of it', 'ssr: { noExternal: true },'],
    ['left outside', ''],
  ])('by Vite for a server, %s', { timeout: LONG }, async (_, options) => {
    machine.write(project, {
      'vite.config.mjs': `export default { ${options} build: { ssr: 'main.mjs', outDir: 'out/vite', target: 'node20' } };`,
    });
    await bundle(tools.bin('vite'), 'build', '--logLevel=warn');
    expect(await output('out/vite/main.mjs')).toBe(OUTPUT);
  });

  it.each(['npm', 'pnpm, which blocks scripts'])(
    "traced by nft, as Next.js's standalone output is, from %s",
    { timeout: LONG },
    async (name) => {
      const from = join(machine.home, folderOf(MANAGERS.find((each) => each.name === name)!));
      const trace = `require(${JSON.stringify(tools.module('@vercel/nft'))}).nodeFileTrace(['main.cjs', 'main.mjs'])
        .then(({ fileList }) => console.log(JSON.stringify([...fileList])));`;
      machine.write(from, { 'trace.cjs': trace });
      const files: string[] = JSON.parse(await machine.must(from, process.execPath, ['trace.cjs']));
      const standalone = machine.project(`standalone-${name.slice(0, 4)}`);
      for (const file of files) {
        mkdirSync(dirname(join(standalone, file)), { recursive: true });
        cpSync(join(from, file), join(standalone, file), { verbatimSymlinks: true });
      }
      rmSync(join(standalone, 'trace.cjs'), { force: true });
      expect(existsSync(join(standalone, 'node_modules/torch-curvature/native'))).toBe(false);
      expect(await machine.must(standalone, process.execPath, ['main.cjs'])).toBe(OUTPUT);
      expect(await machine.must(standalone, process.execPath, ['main.mjs'])).toBe(OUTPUT);
    },
  );

  it('run by Jest', { timeout: LONG }, async () => {
    machine.write(project, { 'products.test.cjs': JEST });
    const args = [
      '--rootDir',
      project,
      '--testMatch',
      '**/products.test.cjs',
      '--cacheDirectory',
      join(project, 'out'),
    ];
    const { code, stderr } = await machine.run(project, process.execPath, [tools.bin('jest'), ...args]);
    expect(stderr).toMatch(/Tests: +2 passed, 2 total/);
    expect(code).toBe(0);
  });
});

it('the Dockerfile of the page on installation builds and runs, step by step', {
  timeout: LONG,
}, async () => {
  const page = readFileSync(join(ROOT, 'scripts/docs/install.md'), 'utf8');
  const steps = /^```dockerfile\n(.*?)^```$/ms.exec(page)![1]!.trim().split('\n');
  const npmProject = join(machine.home, folderOf(MANAGERS[0]!));
  const files = ['package.json', 'package-lock.json'].map((name) => [
    name,
    readFileSync(join(npmProject, name), 'utf8'),
  ]);
  const context = machine.project('context', { ...Object.fromEntries(files), 'main.mjs': ESM });
  const image = machine.project('image');
  machine.provide('npm', tools.bin('npm'));
  let folder = image;
  let output = '';
  for (const step of steps) {
    const [, instruction, rest] = /^(\w+) (.*)$/.exec(step)!;
    if (instruction === 'WORKDIR') {
      folder = join(image, rest!);
      mkdirSync(folder);
      machine.give(folder);
    } else if (instruction === 'COPY') {
      for (const name of rest!.split(' ').slice(0, -1)) {
        for (const file of name === '.' ? readdirSync(context) : [name]) {
          cpSync(join(context, file), join(folder, file));
          machine.give(join(folder, file));
        }
      }
    } else if (instruction === 'RUN') {
      await machine.must(folder, 'sh', ['-c', rest!], { npm_config_registry: registry.url });
    } else if (instruction === 'CMD') {
      const [program, ...args] = JSON.parse(rest!);
      output = await machine.must(folder, program, args);
    } else {
      expect(step).toMatch(/^(FROM node:\d+-slim|USER node)$/); // glibc, and not root
    }
  }
  expect(output).toBe(OUTPUT);
});

describe('where something is missing, the message says what to do:', () => {
  const message = (project: string) =>
    machine.must(project, process.execPath, [
      '-p',
      "try { require('torch-curvature').info() } catch (error) { error.code + ' ' + error.message }",
    ]);
  const copyOf = (name: string) => {
    const project = machine.project(name);
    cpSync(join(machine.home, folderOf(MANAGERS[0]!), 'node_modules'), join(project, 'node_modules'), {
      recursive: true,
    });
    return project;
  };
  const scope = (project: string, name: string) => join(project, 'node_modules/@torch-curvature', name);
  const system = `${process.platform}-${process.arch}`;

  it('the package with the addon', async () => {
    const project = copyOf('without-addon');
    rmSync(scope(project, system), { recursive: true });
    expect(await message(project)).toMatch(
      new RegExp(
        `^ERR_ADDON_MISSING @torch-curvature/${system}, .* is not installed .*lock file.*` +
          `npm install @torch-curvature/${system}@${manifest.version}\\. From source: run \`node `,
      ),
    );
  });

  it('the package with libtorch, or one by LIBTORCH', async () => {
    const project = copyOf('without-libtorch');
    const gone = join(project, 'libtorch');
    cpSync(scope(project, `libtorch-cpu-${system}`), gone, { recursive: true });
    rmSync(scope(project, `libtorch-cpu-${system}`), { recursive: true });
    expect(await message(project)).toMatch(
      /^ERR_LIBTORCH_MISSING the libtorch .* is not installed.*set LIBTORCH/,
    );
    machine.write(project, { 'main.cjs': CJS });
    expect(await machine.must(project, process.execPath, ['main.cjs'], { LIBTORCH: gone })).toBe(OUTPUT);
  });

  it('a file that was cut short', async () => {
    const project = copyOf('cut-short');
    const file = join(scope(project, `libtorch-cpu-${system}`), 'lib/libtorch_cpu.so');
    truncateSync(file, 1000);
    expect(await message(project)).toMatch(
      /^ERR_LIBTORCH_MISSING .*is truncated: 1000 of .*remove node_modules and install/,
    );
  });

  it('another release of the addon', async () => {
    const project = copyOf('another-release');
    const file = join(scope(project, system), 'package.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(manifest.version, '9.9.9'));
    expect(await message(project)).toMatch(
      /^ERR_ADDON_MISSING .* is version 9\.9\.9, but torch-curvature is/,
    );
  });
});

describe('without a network', () => {
  beforeAll(() => registry.stop());

  it.each(MANAGERS)('$name installs again what it installed before', { timeout: LONG }, async (manager) => {
    const project = join(machine.home, folderOf(manager));
    for (const name of ['node_modules', '.pnp.cjs', '.pnp.loader.mjs', '.yarn/unplugged'])
      rmSync(join(project, name), { recursive: true, force: true });
    await timed(`${manager.name}, offline`, () => machine.must(project, ...manager.offline(tools)));
    await computes(manager, project);
  });
});

function folderOf({ name }: Manager): string {
  return name.replaceAll(/\W+/g, '-');
}

async function computes(manager: Manager, project: string): Promise<void> {
  const [program, args] = manager.run?.(tools) ?? [process.execPath, []];
  for (const file of ['main.cjs', 'main.mjs'])
    expect(await machine.must(project, program, [...args, file])).toBe(OUTPUT);
}

async function timed(what: string, work: () => Promise<unknown>): Promise<void> {
  const started = Date.now();
  await work();
  console.log(`${what}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
