/** The test cases of a program made with doctest/doctest.h, each reported by itself. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export interface Outcome {
  ok: boolean;
  /** How many checks were made. */
  checks: number;
  /** What failed, or how the process ended. */
  output: string;
}

/** Runs a program to its end, off the event loop: vitest's workers have to answer meanwhile. */
export async function run(program: string, args: readonly string[]) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  const status = await new Promise<number | NodeJS.Signals | null>((resolve) => {
    child.on('error', (error) => {
      output += error.message;
      resolve(null);
    });
    child.on('close', (code, signal) => resolve(code ?? signal));
  });
  return { status, stdout, output };
}

/** As `run`; throws what was printed where the program fails. Returns its standard output. */
export async function mustRun(program: string, ...args: readonly string[]): Promise<string> {
  const { status, stdout, output } = await run(program, args);
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}:\n${output}`);
  return stdout;
}

/** The names of a program's cases. */
export async function caseNames(program: string): Promise<string[]> {
  return (await mustRun(program, '-ltc')).split('\n').filter((name) => name !== '');
}

/**
 * Runs cases one after the other in one process, as libtorch takes a while to load. A process that a case ends is
 * followed by another for the cases left. `outcome(name)` settles when that case has.
 */
export class Cases {
  readonly #outcomes = new Map<string, Promise<Outcome>>();
  readonly #settle = new Map<string, (outcome: Outcome) => void>();
  readonly #program: string;
  #stop = () => {};

  constructor(program: string, names: readonly string[]) {
    this.#program = program;
    for (const name of names) {
      const outcome = new Promise<Outcome>((resolve) => this.#settle.set(name, resolve));
      this.#outcomes.set(name, outcome);
    }
    void this.#run([...names]);
  }

  outcome(name: string): Promise<Outcome> {
    return this.#outcomes.get(name)!;
  }

  stop() {
    this.#stop();
  }

  async #run(names: string[]) {
    let left = names;
    while (left.length > 0) {
      const before = left.length;
      left = await this.#runUntilEnd(left);
      // Without any progress another process would not make some either.
      if (left.length === before) left = left.slice(1);
    }
  }

  /** Returns the cases that the process did not get to. */
  async #runUntilEnd(names: string[]): Promise<string[]> {
    const only = names.map((name) => name.replaceAll(',', '\\,')).join(',');
    const child = spawn(this.#program, ['-r=json', `-tc=${only}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Threads that wait without turning: on a busy machine the others get the processor meanwhile.
      env: { OMP_WAIT_POLICY: 'passive', ...process.env },
    });
    this.#stop = () => child.kill('SIGKILL');
    let printed = '';
    let running: string | undefined;
    const left = new Set(names);
    const settle = (name: string, outcome: Outcome) => {
      left.delete(name);
      this.#settle.get(name)?.(outcome);
      running = undefined;
      printed = '';
    };
    const ended = new Promise<string>((resolve) => {
      child.on('error', ({ message }) => resolve(message));
      child.on('close', (code, signal) => resolve(`the process ended: ${signal ?? `exit code ${code}`}`));
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      printed += text;
    });
    for await (const line of createInterface(child.stdout)) {
      const event = parse(line);
      if (event?.start !== undefined) running = event.start;
      else if (event?.end !== undefined) settle(event.end, event as Outcome);
      else printed += `${line}\n`;
    }
    const end = await ended;
    const culprit = running ?? names.find((name) => left.has(name));
    if (culprit !== undefined) settle(culprit, { ok: false, checks: 0, output: `${printed}${end}` });
    return names.filter((name) => left.has(name));
  }
}

function parse(line: string): { start?: string; end?: string } | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
