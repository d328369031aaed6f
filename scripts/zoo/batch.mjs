/** Runs a program over a list of names, in child processes that may crash, hang or eat the memory. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const MOST_BYTES = 6e9;
const LOOK_EVERY_MS = 500;

/** The exit code of a process that wants a new one for the names that are left. */
const GO_ON = 3;

/**
 * `command` gets the names as its last arguments, and prints a line of JSON with `started` before each and one with
 * `done` after it. Where it ends in between, the name is reported as `crashed` and a new process goes on with the next.
 *
 * @param {readonly string[]} command
 * @param {readonly string[]} names
 * @param {{ jobs: number, seconds: number, onDone: (record: object) => void }} options
 */
export async function runOver(command, names, { jobs, seconds, onDone }) {
  const queue = [...names];
  const size = Math.max(1, Math.min(20, Math.ceil(queue.length / jobs)));
  const worker = async () => {
    while (queue.length > 0) {
      let rest = queue.splice(0, size);
      while (rest.length > 0) rest = await runSome(command, rest, seconds, onDone);
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
}

/** @returns the names that are left after a crash */
function runSome([program, ...args], names, seconds, onDone) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args, ...names], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // Threads that spin while they wait cost such small models most of their time where others compute beside them.
      env: { OMP_WAIT_POLICY: 'passive', ...process.env },
    });
    let [current, began, stopped, errors, finished] = [undefined, Date.now(), undefined, '', 0];
    const stop = (why) => {
      stopped = why;
      child.kill('SIGKILL');
    };
    const watch = setInterval(() => {
      if (Date.now() - began > seconds * 1000) stop(`takes longer than ${seconds} s`);
      else if (residentBytes(child.pid) > MOST_BYTES) stop(`takes more than ${MOST_BYTES / 1e9} GB`);
    }, LOOK_EVERY_MS);
    child.stderr.on('data', (text) => {
      errors = (errors + text).slice(-2000);
    });
    const lines = createInterface({ input: child.stdout });
    lines.on('line', (line) => {
      if (!line.startsWith('{')) return; // what a library prints
      const record = JSON.parse(line);
      began = Date.now();
      if (record.started !== undefined) current = record.started;
      if (record.done === undefined) return;
      current = undefined;
      finished += 1;
      onDone(record);
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearInterval(watch);
      if (code === 0) return resolve([]);
      if (code === GO_ON && current === undefined) return resolve(names.slice(finished));
      if (current === undefined) {
        return reject(
          new Error(`${program} ${args.join(' ')} ended with ${stopped ?? code ?? signal}: ${errors}`),
        );
      }
      onDone({ done: current, crashed: stopped ?? `${signal ?? `exit code ${code}`} ${lastLine(errors)}` });
      resolve(names.slice(finished + 1));
    });
  });
}

/** Of a process, where the system tells. */
function residentBytes(pid) {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

function lastLine(text) {
  return text.trim().split('\n').at(-1) ?? '';
}
