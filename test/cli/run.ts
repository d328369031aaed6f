/** The built command line, in a folder of its own: in a thread of this process, or in a process. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { info } from 'torch-curvature';
import { onTestFinished } from 'vitest';

export const CLI = fileURLToPath(new URL('../../dist/cli.mjs', import.meta.url));

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

interface Surroundings {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

/** One after another: the threads have the process's folder. */
let last: Promise<unknown> = Promise.resolve();

/**
 * In a thread: a process takes most of a second to load libtorch, which this one has loaded. What its native code writes
 * is not in the outcome, and signals do not reach it: `runProcess` is for these.
 */
export function run(args: readonly string[], surroundings: Surroundings = {}): Promise<Outcome> {
  const outcome = last.then(() => runThread(args, surroundings));
  last = outcome.catch(() => undefined);
  return outcome;
}

async function runThread(
  args: readonly string[],
  { cwd = process.cwd(), env }: Surroundings,
): Promise<Outcome> {
  info();
  const before = process.cwd();
  process.chdir(cwd);
  try {
    const thread = new Worker(CLI, {
      argv: [...args],
      env: { ...process.env, ...env },
      stdout: true,
      stderr: true,
    });
    const [[code], stdout, stderr] = await Promise.all([
      once(thread, 'exit') as Promise<[number]>,
      text(thread.stdout),
      text(thread.stderr),
    ]);
    return { code, stdout, stderr };
  } finally {
    process.chdir(before);
  }
}

export async function runProcess(args: readonly string[], { cwd, env }: Surroundings = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [CLI, ...args], {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close') as Promise<[number | null]>,
    text(child.stdout),
    text(child.stderr),
  ]);
  return { code, stdout, stderr };
}

/** A folder that is removed when the test ends. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'torch-curvature-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}
