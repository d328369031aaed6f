/** What programs that start one process on each of several machines tell these processes. */
import { outOfRange } from '../errors.ts';

/** Environment variables, and how else a launcher says where rank 0 is. */
interface Launcher {
  name: string;
  rank: string;
  worldSize: string;
  address?: (env: Environment) => string | undefined;
  port?: (env: Environment) => number | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The first whose rank is set counts: `torchrun` may itself be started by Slurm. */
const LAUNCHERS: readonly Launcher[] = [
  // torchrun, and Kubernetes' PyTorchJob.
  { name: 'torchrun', rank: 'RANK', worldSize: 'WORLD_SIZE' },
  { name: 'Slurm', rank: 'SLURM_PROCID', worldSize: 'SLURM_NTASKS', address: firstNode, port: portOfJob },
  { name: 'Open MPI', rank: 'OMPI_COMM_WORLD_RANK', worldSize: 'OMPI_COMM_WORLD_SIZE' },
  { name: 'MPICH', rank: 'PMI_RANK', worldSize: 'PMI_SIZE' },
];

/** Variables that say which rank a process is, for messages. */
export const RANK_VARIABLES = LAUNCHERS.map(({ rank }) => rank).join(', ');

/** What the environment says of a process group. */
export interface Launched {
  rank?: number;
  worldSize?: number;
  masterAddress?: string;
  masterPort?: number;
  /** Where a launcher keeps the store by which ranks meet, so that none of them does: what keys in it begin with. */
  store?: string;
}

export function launched(env: Environment): Launched {
  const launcher = LAUNCHERS.find(({ rank }) => isSet(env[rank]));
  const found: { -readonly [K in keyof Launched]: Launched[K] | undefined } = {
    rank: launcher && whole(env, launcher.rank),
    worldSize: launcher && whole(env, launcher.worldSize),
    masterAddress: isSet(env.MASTER_ADDR) ? env.MASTER_ADDR : launcher?.address?.(env),
    masterPort: whole(env, 'MASTER_PORT') ?? launcher?.port?.(env),
    store:
      launcher?.name === 'torchrun' && env.TORCHELASTIC_USE_AGENT_STORE === 'True'
        ? `attempt_${env.TORCHELASTIC_RESTART_COUNT ?? 0}/`
        : undefined,
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
}

function isSet(value: string | undefined): value is string {
  return value !== undefined && value !== '';
}

function whole(env: Environment, name: string): number | undefined {
  const value = env[name];
  if (!isSet(value)) return undefined;
  if (!/^\d{1,9}$/.test(value))
    throw outOfRange(`the environment variable ${name} should be a whole number, got '${value}'`);
  return Number(value);
}

/** Of `node[07-09,12],login1`: `node07`. Rank 0 is on the first node of its step. */
function firstNode(env: Environment): string | undefined {
  const list = env.SLURM_STEP_NODELIST ?? env.SLURM_JOB_NODELIST;
  const [, prefix, first, suffix] = /^([^,[\]]+)(?:\[(\d+)[^\]]*\])?([^,[\]]*)/.exec(list ?? '') ?? [];
  return prefix === undefined ? undefined : `${prefix}${first ?? ''}${suffix ?? ''}`;
}

/** The same on all nodes and, as a rule, another one in each job, below the ports that systems give out. */
function portOfJob(env: Environment): number | undefined {
  const job = whole(env, 'SLURM_JOB_ID');
  return job === undefined ? undefined : 15_000 + ((job + (whole(env, 'SLURM_STEP_ID') ?? 0)) % 17_000);
}
