import { spawn } from 'node:child_process';

/**
 * @typedef {object} Outcome
 * @property {number} code exit status; 127 when the program was not found
 * @property {string} stdout
 * @property {string} output stdout and stderr together
 */

/**
 * Runs a program and collects what it prints; with `show` it prints to our own stderr instead.
 * @param {string} program
 * @param {readonly string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, show?: boolean }} [options]
 * @returns {Promise<Outcome>}
 */
export function run(program, args, { cwd, env, show = false } = {}) {
  return new Promise((resolve) => {
    // Our stdout stays free for what the command behind the set-up prints.
    const child = spawn(program, args, { cwd, env, stdio: ['ignore', show ? 2 : 'pipe', show ? 2 : 'pipe'] });
    let stdout = '';
    let output = '';
    child.stdout?.on('data', (text) => {
      stdout += text;
      output += text;
    });
    child.stderr?.on('data', (text) => {
      output += text;
    });
    child.on('error', (error) => resolve({ code: 127, stdout, output: output + error.message }));
    child.on('close', (code) => resolve({ code: code ?? 1, stdout, output }));
  });
}

/** @param {string} line */
export function say(line) {
  console.error(line);
}
