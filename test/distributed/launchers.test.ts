/** What launchers say of a process, by their environment. */
import { expect, it } from 'vitest';
import { launched } from '../../lib/distributed/launchers.ts';

const master = { masterAddress: '10.0.0.1', masterPort: 1234 };
const MASTER = { MASTER_ADDR: '10.0.0.1', MASTER_PORT: '1234' };

it.each([
  ['nothing', {}, {}],
  ['empty variables, which are as good as none', { RANK: '', MASTER_ADDR: '' }, {}],
  ['torchrun', { RANK: '3', WORLD_SIZE: '8', ...MASTER }, { rank: 3, worldSize: 8, ...master }],
  [
    'torchrun, which keeps the store',
    {
      RANK: '0',
      WORLD_SIZE: '2',
      ...MASTER,
      TORCHELASTIC_USE_AGENT_STORE: 'True',
      TORCHELASTIC_RESTART_COUNT: '1',
    },
    { rank: 0, worldSize: 2, ...master, store: 'attempt_1/' },
  ],
  [
    'torchrun within Slurm',
    { RANK: '3', WORLD_SIZE: '8', ...MASTER, SLURM_PROCID: '0', SLURM_NTASKS: '1' },
    { rank: 3, worldSize: 8, ...master },
  ],
  [
    'Slurm',
    {
      SLURM_PROCID: '5',
      SLURM_NTASKS: '16',
      SLURM_JOB_ID: '17003',
      SLURM_STEP_ID: '2',
      SLURM_STEP_NODELIST: 'node[07-09,12]',
    },
    { rank: 5, worldSize: 16, masterAddress: 'node07', masterPort: 15_005 },
  ],
  [
    'Slurm, with an address of the user',
    {
      SLURM_PROCID: '5',
      SLURM_NTASKS: '16',
      SLURM_JOB_ID: '1',
      SLURM_JOB_NODELIST: 'a-1,b[2-3]-x',
      ...MASTER,
    },
    { rank: 5, worldSize: 16, ...master },
  ],
  [
    'Open MPI',
    { OMPI_COMM_WORLD_RANK: '1', OMPI_COMM_WORLD_SIZE: '4', ...MASTER },
    { rank: 1, worldSize: 4, ...master },
  ],
  ['MPICH', { PMI_RANK: '1', PMI_SIZE: '4', ...MASTER }, { rank: 1, worldSize: 4, ...master }],
])('%s', (_, env, expected) => {
  expect(launched(env)).toEqual(expected);
});

it.each([
  ['a-1,b[2-3]-x', 'a-1'],
  ['b[2-3]-x,a', 'b2-x'],
  ['gpu001', 'gpu001'],
  ['r[1,5]n2', 'r1n2'],
])('the first node of %s', (list, first) => {
  expect(launched({ SLURM_PROCID: '0', SLURM_STEP_NODELIST: list }).masterAddress).toBe(first);
});

it.each(['one', '-1', '1.5', '1e3', ' 1'])('a rank of %j is refused', (RANK) => {
  expect(() => launched({ RANK })).toThrow(
    expect.objectContaining({
      name: 'RangeError',
      code: 'ERR_INVALID_ARGUMENT',
      message: expect.stringContaining(RANK),
    }),
  );
});
