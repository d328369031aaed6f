/** A process that ends while products are computed, and others wait, ends well. */
import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { byCounts } from '../support/counts.ts';

const START = `
import { Worker } from 'node:worker_threads';
import * as tc from 'torch-curvature';
const { nn } = tc;
const model = tc.Model.sequential([nn.linear(4, 64), nn.tanh(), nn.linear(64, 64), nn.tanh(), nn.linear(64, 1)]);
const problem = { model, params: model.init({ seed: 1 }), x: new tc.Generator(1).randn([4096, 4]) };
const v = problem.params;
const several = (work) => { for (let i = 0; i < 20; i++) work().catch(() => {}); };
const end = () => setTimeout(() => process.exit(7), 5);
`;

/** What is under way, and the code that the process ends with. */
const ENDS: [string, string, number?][] = [
  ['products of the fused engine', 'several(() => tc.matvecOnTheFly(problem, v)); end();'],
  ['products by autograd', "several(() => tc.matvecOnTheFly(problem, v, { engine: 'autograd' })); end();"],
  ['dense products', 'several(() => tc.matvecDense(problem, v)); end();'],
  [
    'profiled products',
    "await tc.startProfile(); several(() => tc.matvecOnTheFly(problem, v, { engine: 'autograd' })); end();",
  ],
  [
    'products of a kept linearization',
    'const lin = await tc.linearize(problem); several(() => lin.matvec(v)); end();',
  ],
  ['solvers', 'const op = await tc.gramian(problem); several(() => tc.trace(op, { samples: 1e5 })); end();'],
  [
    'products by a function of the caller',
    `const matmat = async (x) => x.map(Math.sin);
     const op = tc.customOperator({ shape: [1000, 1000], symmetric: true, matmat });
     several(() => tc.trace(op, { samples: 1e5 })); end();`,
  ],
  [
    'products that a signal stops',
    `const stop = new AbortController();
     several(() => tc.matvecOnTheFly(problem, v, { signal: stop.signal }));
     setTimeout(() => { stop.abort(); process.exit(7); }, 5);`,
  ],
  [
    'products that a later listener begins',
    `tc.info();
     process.on('exit', () => {
       several(() => tc.matvecOnTheFly(problem, v, { engine: 'autograd' }));
       const until = Date.now() + 20;
       while (Date.now() < until);
     });
     end();`,
  ],
  [
    'products, by an error',
    'several(() => tc.matvecOnTheFly(problem, v)); setTimeout(() => { throw new Error("of the test"); }, 5);',
    1,
  ],
  [
    'products of a worker',
    `const source = \`import { parentPort } from 'node:worker_threads';
       import * as tc from 'torch-curvature';
       const model = tc.Model.sequential([tc.nn.linear(64, 64)]);
       const problem = { model, params: model.init(), x: new tc.Generator(1).randn([999, 64]) };
       for (let i = 0; i < 1000; i++) tc.matvecOnTheFly(problem, problem.params).catch(() => {});
       parentPort.postMessage(0);\`;
     new Worker(source, { eval: true }).once('message', end);`,
  ],
];

/** How often each is tried: what it meets differs from one time to the next. */
const TIMES = byCounts(1, 3);

it.each(ENDS)('during %s', { timeout: 60_000 }, (_, code, status = 7) => {
  const args = ['--input-type=module', '--eval', START + code];
  for (let time = 0; time < TIMES; time++) {
    const begun = performance.now();
    const how = { cwd: import.meta.dirname, encoding: 'utf8', timeout: 20_000 } as const;
    const ended = spawnSync(process.execPath, args, how);
    const found = { signal: ended.signal, status: ended.status };
    expect(found, ended.stderr).toEqual({ signal: null, status });
    if (status === 7) expect(ended.stderr).toBe('');
    // It does not wait for what was asked for, only for what runs to hear that it should stop.
    expect(performance.now() - begun).toBeLessThan(10_000);
  }
});
