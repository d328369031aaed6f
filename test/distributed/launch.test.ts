/** Processes that are started as launchers do: by their environment, and by torchrun itself. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, it } from 'vitest';
import { someOf } from '../support/counts.ts';
import { freePort } from '../support/free-port.ts';
import { type Launch, onRanks, SCRIPT } from './ranks.ts';

/** A job whose port, which follows from its number, is free. */
async function freeJob(): Promise<number> {
  for (let job = process.pid; ; job++) {
    const server = createServer();
    const free = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(15_000 + (job % 17_000), () => resolve(true));
    });
    server.close();
    if (free) return job;
  }
}

const job = await freeJob();

const LAUNCHERS: [string, Launch][] = [
  [
    'PyTorchJob',
    (rank, worldSize, port) => ({
      RANK: String(rank),
      WORLD_SIZE: String(worldSize),
      MASTER_ADDR: 'localhost',
      MASTER_PORT: String(port),
      PET_NNODES: String(worldSize),
    }),
  ],
  [
    'srun',
    (rank, worldSize) => ({
      SLURM_PROCID: String(rank),
      SLURM_NTASKS: String(worldSize),
      SLURM_LOCALID: String(rank),
      SLURM_JOB_ID: String(job),
      SLURM_STEP_NODELIST: 'localhost',
    }),
  ],
  [
    'mpirun',
    (rank, worldSize, port) => ({
      OMPI_COMM_WORLD_RANK: String(rank),
      OMPI_COMM_WORLD_SIZE: String(worldSize),
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(port),
    }),
  ],
  [
    'mpiexec',
    (rank, worldSize, port) => ({
      PMI_RANK: String(rank),
      PMI_SIZE: String(worldSize),
      MASTER_ADDR: '127.0.0.1',
      MASTER_PORT: String(port),
    }),
  ],
];

it.each(someOf(LAUNCHERS))('as by %s', async (_, launch) => {
  for (const { found, code, stderr } of await onRanks(2, 'again', { launch }))
    expect({ found, code, stderr }).toEqual({ found: { sums: [3, 3, 3] }, code: 0, stderr: '' });
});

/** A Python that has torchrun. */
const python = [process.env.PYTHON, 'python3'].find(
  (name) => name !== undefined && spawnSync(name, ['-c', 'import torch.distributed.run']).status === 0,
);
const without = python === undefined ? ' (skipped: no Python with PyTorch; PYTHON names one)' : '';

/** Runs a scenario by torchrun, and gives what all ranks print. */
async function byTorchrun(options: readonly string[], scenario: string): Promise<string[]> {
  const run = ['-m', 'torch.distributed.run', '--no-python', ...options, process.execPath, SCRIPT, scenario];
  const child = spawn(python!, run, {
    env: { ...process.env, OMP_NUM_THREADS: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [stdout, [code]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(code).toBe(0);
  return stdout.trim().split('\n');
}

const SUMS = '{"sums":[3,3,3]}';

it.skipIf(python === undefined)(`by torchrun, which keeps the store${without}`, async () => {
  expect(await byTorchrun(['--standalone', '--nproc-per-node', '2'], 'again')).toEqual([SUMS, SUMS]);
});

it.skipIf(python === undefined)(`by torchrun on two machines${without}`, async () => {
  const endpoint = `127.0.0.1:${await freePort()}`;
  const options = [
    '--nnodes',
    '2',
    '--nproc-per-node',
    '1',
    '--rdzv-backend',
    'c10d',
    '--rdzv-endpoint',
    endpoint,
  ];
  expect(await Promise.all([byTorchrun(options, 'again'), byTorchrun(options, 'again')])).toEqual([
    [SUMS],
    [SUMS],
  ]);
});
