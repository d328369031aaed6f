/** Processes on this machine that make up a group. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { freePort } from '../support/free-port.ts';

export const SCRIPT = fileURLToPath(new URL('../fixtures/distributed/rank.mjs', import.meta.url));

export interface Ended {
  /** What it printed. */
  found: Record<string, unknown> | undefined;
  stderr: string;
  code: number | null;
  signal: string | null;
}

/** What a launcher says to a process, by its environment. */
export type Launch = (rank: number, worldSize: number, port: number) => NodeJS.ProcessEnv;

/** As by hand, torchrun and PyTorchJob. */
const byHand: Launch = (rank, worldSize, port) => ({
  RANK: String(rank),
  WORLD_SIZE: String(worldSize),
  MASTER_ADDR: '127.0.0.1',
  MASTER_PORT: String(port),
});

export interface RanksOptions {
  /** The rank to which the scenario happens; the last one by default. */
  unreliable?: number;
  /** One that hangs, which is ended once the others have ended. */
  hangs?: number;
  launch?: Launch;
  env?: NodeJS.ProcessEnv;
  /** A program that starts them. */
  prefix?: string[];
}

/** Runs a scenario on so many ranks. */
export async function onRanks(
  worldSize: number,
  scenario: string,
  { hangs, unreliable = hangs ?? worldSize - 1, launch = byHand, env = {}, prefix = [] }: RanksOptions = {},
): Promise<Ended[]> {
  const port = await freePort();
  const [command = '', ...args] = [...prefix, process.execPath, SCRIPT, scenario];
  const children = Array.from({ length: worldSize }, (_, rank) =>
    spawn(command, args, {
      env: {
        ...process.env,
        ...launch(rank, worldSize, port),
        OMP_NUM_THREADS: '1',
        TEST_UNRELIABLE: String(unreliable),
        ...env,
      },
      timeout: 90_000,
      killSignal: 'SIGKILL',
    }),
  );
  const ends = children.map(async (child): Promise<Ended> => {
    const [stdout, stderr, [code, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'exit'),
    ]);
    return { found: stdout === '' ? undefined : JSON.parse(stdout), stderr, code, signal };
  });
  if (hangs !== undefined) {
    await Promise.all(ends.filter((_, rank) => rank !== hangs));
    children[hangs]!.kill('SIGKILL');
  }
  return Promise.all(ends);
}
