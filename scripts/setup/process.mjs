import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SUPERVISOR = fileURLToPath(new URL('supervise.mjs', import.meta.url));

/**
 * @typedef {object} Outcome
 * @property {number} code exit status; as in shells 127 when there is no such program, 126 when it may not be run
 * @property {string} stdout
 * @property {string} output stdout and stderr together
 */

/**
 * Runs a program and collects what it prints; with `show` it prints to our own stderr instead. With `supervised` it ends
 * when this process does, however that happens: a compiler or a pip that went on would be in the way of the next run.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean, supervised?: boolean }} [options]
 * @returns {Promise<Outcome>}
 */
export function run(program, args, { cwd, env, show = false, supervised = false } = {}) {
  // A group of its own is what the supervisor can end as a whole; Windows has none.
  const detached = supervised && process.platform !== 'win32';
  const command = detached ? [process.execPath, SUPERVISOR, program, ...args] : [program, ...args];
  return new Promise((resolve) => {
    // Our stdout stays free for what the command behind the set-up prints.
    const output = show ? 2 : 'pipe';
    const stdio = [detached ? 'pipe' : 'ignore', output, output];
    const child = spawn(command[0], command.slice(1), { cwd, env, detached, stdio });
    let stdout = '';
    let said = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
      said += text;
    });
    child.stderr?.on('data', (text) => {
      said += text;
    });
    child.on('error', (error) =>
      resolve({ code: error.code === 'ENOENT' ? 127 : 126, stdout, output: said + error.message }),
    );
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, output: said }));
  });
}

/** @param {string} line */
export function say(line) {
  console.error(line);
}
