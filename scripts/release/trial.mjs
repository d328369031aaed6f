/** Whether packed packages compute: unpacked as a package manager does, in a process that knows of nothing else. */
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SetupError } from '../setup/failure.mjs';
import { must, readJson } from './files.mjs';

const PROGRAM = `
const { Generator, Model, matvecDense, matvecOnTheFly, info, nn } = require('torch-curvature');
const model = Model.sequential([nn.linear(4, 64), nn.tanh(), nn.linear(64, 1)]);
const generator = new Generator(0);
const problem = { model, params: model.init({ generator }), x: generator.randn([256, 4]) };
const v = generator.randn([model.parameterCount]).data;
Promise.all([matvecOnTheFly(problem, v), matvecDense(problem, v)]).then(([a, b]) => {
  const largest = Math.max(...b.map(Math.abs));
  const difference = Math.max(...a.map((value, i) => Math.abs(value - b[i])));
  console.log(JSON.stringify({ close: difference < 1e-5 * largest, path: info().libtorchPath }));
});`;

/**
 * @param {string} root
 * @param {string} project to make and run in
 * @param {readonly import('./pack.mjs').Packed[]} packages
 * @param {string | undefined} libtorch for a package that comes without
 */
export async function tryPackages(root, project, packages, libtorch) {
  await rm(project, { recursive: true, force: true });
  const modules = join(project, 'node_modules');
  for (const { name, tarball } of packages) {
    await mkdir(join(modules, name), { recursive: true });
    await must('tar', ['-xzf', tarball, '--strip-components=1', '-C', join(modules, name)]);
  }
  const { packages: locked } = await readJson(join(root, 'package-lock.json'));
  for (const [path, { dev, optional }] of Object.entries(locked))
    if (path !== '' && !dev && !optional)
      await cp(join(root, path), join(project, path), { recursive: true });

  await writeFile(join(project, 'package.json'), '{}'); // or it would be a part of this package
  await writeFile(join(project, 'main.cjs'), PROGRAM);
  const env = libtorch === undefined ? {} : { LIBTORCH: libtorch };
  const { close, path } = JSON.parse(await must(process.execPath, ['main.cjs'], { cwd: project, env }));
  if (!close) throw new SetupError('The packed addon gives another product on the fly than densely.');
  const own = libtorch ?? project;
  if (!path.startsWith(own))
    throw new SetupError(`The packed addon took libtorch from ${path}, not from ${own}.`);
}
