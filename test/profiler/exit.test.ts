/** A process that ends while a profile is recorded ends well. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const START = `
import { Generator, matvecOnTheFly, Model, nn, profile, startProfile } from 'torch-curvature';
const model = Model.sequential([nn.linear(4, 64), nn.tanh(), nn.linear(64, 1)]);
const problem = { model, params: model.init({ seed: 1 }), x: new Generator(1).randn([512, 4]) };
const v = problem.params;
`;

it.each([
  ['at once', 'await startProfile(); process.exit(7);'],
  ['after a product', 'await startProfile(); await matvecOnTheFly(problem, v); process.exit(7);'],
  [
    'during a product',
    'await startProfile(); matvecOnTheFly(problem, v); setImmediate(() => process.exit(7));',
  ],
  ['in what is profiled', 'await profile(() => process.exit(7));'],
  ['by an error', 'await startProfile(); process.exitCode = 7; throw new Error("of the test");', 1],
  ['by itself', 'await startProfile(); process.exitCode = 7;'],
  ['after a profile', 'await profile(() => matvecOnTheFly(problem, v)); process.exit(7);'],
])('%s', (_, code, status = 7) => {
  const args = ['--input-type=module', '--eval', START + code];
  const ended = spawnSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' });
  expect({ signal: ended.signal, status: ended.status }).toEqual({ signal: null, status });
});
