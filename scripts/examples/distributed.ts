/**
 * Data that are split between processes: fits a network to points that each process has some of, by Levenberg & Marquardt's
 * method, then finds the largest eigenvalues of the Hessian of the loss over all of them.
 *
 *     npm run example:distributed [-- --ranks 2 --steps 20 --seed 0]
 *
 * Without a launcher it starts the ranks itself, on this machine. On several, each process runs what that has built:
 *
 *     torchrun --no-python --nnodes 2 --nproc-per-node 2 … node build/examples/distributed.mjs
 *     srun --ntasks 4 node build/examples/distributed.mjs
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { distributed, eigsh, Generator, hessian, initProcessGroup, Model, nn, optim } from 'torch-curvature';
import { parseOptions, wholeNumber } from './shared/cli.ts';

const options = parseOptions({ ranks: '2', steps: '20', seed: '0' });
const steps = wholeNumber(options.steps, 'steps');
const seed = wholeNumber(options.seed, 'seed', 0);

if (process.env.RANK === undefined && process.env.SLURM_PROCID === undefined) {
  await launch(wholeNumber(options.ranks, 'ranks'));
} else {
  await fit();
}

/** What every rank does. */
async function fit(): Promise<void> {
  await using group = await initProcessGroup();
  const model = Model.sequential([nn.linear(1, 16), nn.tanh(), nn.linear(16, 1)]);
  const { x, target } = points(100 + 50 * group.rank, seed + group.rank);
  const problem = { model, params: model.init({ seed, dtype: 'float64' }), x, target, loss: 'mse' } as const;

  const optimizer = optim.levenbergMarquardt(problem, { group });
  for (let step = 0; step < steps; step++) await optimizer.step();

  using own = await hessian({ ...problem, params: optimizer.params });
  using op = distributed(own, { group });
  const { eigenvalues } = await eigsh(op, { k: 3 });
  if (group.rank !== 0) return; // the others have found the same
  const losses = optimizer.records
    .filter(({ accepted }) => accepted)
    .map(({ candidateLoss }) => candidateLoss);
  console.log(`${group.worldSize} ranks`);
  console.log(`loss: ${optimizer.records[0]!.loss.toPrecision(4)} → ${losses.at(-1)?.toPrecision(4)}`);
  console.log(`eigenvalues: ${[...eigenvalues].map((each) => each.toPrecision(4)).join(', ')}`);
}

/** Noisy points of a curve, others for each seed: a rank may have as many as it likes. */
function points(rows: number, seed: number) {
  const noise = new Generator(seed).randn([rows, 2], { dtype: 'float64' }).data;
  const x = Float64Array.from({ length: rows }, (_, row) => noise[2 * row]!);
  const y = x.map((each, row) => Math.sin(2 * each) + 0.05 * noise[2 * row + 1]!);
  return { x: { data: x, shape: [rows, 1] }, target: { data: y, shape: [rows, 1] } };
}

/** As launchers do. */
async function launch(ranks: number): Promise<void> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  const children = Array.from({ length: ranks }, (_, rank) =>
    spawn(process.execPath, process.argv.slice(1), {
      stdio: 'inherit',
      env: {
        ...process.env,
        RANK: String(rank),
        WORLD_SIZE: String(ranks),
        MASTER_ADDR: '127.0.0.1',
        MASTER_PORT: String(port),
      },
    }),
  );
  const codes = await Promise.all(
    children.map(async (child) => (await once(child, 'exit'))[0] as number | null),
  );
  process.exitCode = codes.every((code) => code === 0) ? 0 : 1;
}
