/** The package as its users get it: packed, installed into a fresh project, used from ESM, CommonJS and TypeScript. */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { compilerCache } from '../support/compiler-cache.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

let folder: string;
let tarball: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'torch-curvature-package-'));
  const { stdout } = await run(
    'npm',
    ['pack', '--silent', '--ignore-scripts', '--pack-destination', folder],
    {
      cwd: ROOT,
    },
  );
  tarball = join(folder, stdout.trim().split('\n').at(-1)!);
}, 60_000);

afterAll(() => rm(folder, { recursive: true, force: true }));

it('has entry points and types that resolve everywhere', { timeout: 120_000 }, async () => {
  const bin = (name: string) => join(ROOT, 'node_modules/.bin', name);
  await run(bin('publint'), ['--strict', tarball], { cwd: ROOT });
  await run(bin('attw'), [tarball, '--profile', 'node16'], { cwd: ROOT });
});

it('contains what a build needs and nothing else', async () => {
  const { stdout } = await run('tar', ['-tzf', tarball]);
  const files = stdout.trim().split('\n');
  for (const needed of [
    'CMakeLists.txt',
    'native/core/program/program.cc',
    'scripts/setup/build.mjs',
    'scripts/setup/supervise.mjs',
    'dist/cli.licenses.txt',
  ]) {
    expect(files).toContain(`package/${needed}`);
  }
  for (const file of files)
    expect(file).not.toMatch(/test\/|fixtures|\.node$|node_modules|\.ts$(?<!\.d\.[mc]ts)/);
});

it('asks for nothing to be installed that only its command line or its development needs', () => {
  const reading = ['yauzl'];
  const building = ['node-addon-api', 'node-api-headers'];
  expect(Object.keys(manifest.dependencies).sort()).toEqual([...building, ...reading].sort());
});

const PROGRAM = `
const model = Model.sequential([nn.linear(2, 8), nn.tanh(), nn.linear(8, 1)]);
const generator = new Generator(0);
const problem = { model, params: model.init({ generator }), x: generator.randn([16, 2]) };
const v = generator.randn([model.parameterCount]).data;
Promise.all([matvecOnTheFly(problem, v), matvecDense(problem, v)]).then(([a, b]) => {
  const difference = Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  console.log(a.length, difference < 1e-4 ? 'agree' : difference);
});
`;
const NAMES = 'Generator, Model, matvecDense, matvecOnTheFly, nn';

describe('installed into a fresh project', () => {
  let project: string;

  beforeAll(async () => {
    project = join(folder, 'consumer');
    await cp(join(ROOT, 'test/fixtures/consumer'), project, { recursive: true });
    // A package packed from a clone builds the addon when it is installed.
    await run('npm', ['install', '--no-audit', '--no-fund', '--foreground-scripts', tarball], {
      cwd: project,
      env: { ...process.env, ...compilerCache(join(project, 'node_modules/torch-curvature')) },
      maxBuffer: 2 ** 26,
    });
  }, 2_400_000);

  it('works from an ES module', async () => {
    await writeFile(join(project, 'main.mjs'), `import { ${NAMES} } from 'torch-curvature';${PROGRAM}`);
    const { stdout } = await run(process.execPath, ['main.mjs'], { cwd: project });
    expect(stdout).toBe('33 agree\n');
  });

  it('works from CommonJS', async () => {
    await writeFile(join(project, 'main.cjs'), `const { ${NAMES} } = require('torch-curvature');${PROGRAM}`);
    const { stdout } = await run(process.execPath, ['main.cjs'], { cwd: project });
    expect(stdout).toBe('33 agree\n');
  });

  it('needs no environment variable, only the folder it was built in', async () => {
    const { stdout } = await run(process.execPath, ['main.cjs'], {
      cwd: project,
      env: { PATH: process.env.PATH },
    });
    expect(stdout).toBe('33 agree\n');
  });

  it('keeps nothing of what the addon was made from', async () => {
    expect(await readdir(join(project, 'node_modules/torch-curvature/build'))).toEqual(['Release']);
  });

  it('has its command', async () => {
    const { stdout } = await run('npx', ['torch-curvature', 'info', '--json'], { cwd: project });
    expect(JSON.parse(stdout).libtorchVersion).toMatch(/^\d+\.\d+/);
  });
});
