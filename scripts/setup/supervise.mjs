/**
 * Runs a program, `node supervise.mjs program [arguments]`, as the head of a process group, and ends the whole group when
 * whoever started it is gone: its end of our standard input closes then, even if it was killed.
 */
import { spawn } from 'node:child_process';

/** Ninja gives its compilers groups of their own, and ends them when it is asked to end, but not when it is killed. */
const GRACE_MS = 1_000;

const [program, ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
let ending = false;
child.on('error', (error) => {
  console.error(error.message);
  process.exit(error.code === 'ENOENT' ? 127 : 126);
});
child.on('exit', (code) => {
  if (!ending) process.exit(code ?? 1);
});
process.stdin.resume().on('close', () => {
  ending = true;
  process.on('SIGTERM', () => {}); // this process is one of the group
  process.kill(-process.pid, 'SIGTERM');
  setTimeout(() => process.kill(-process.pid, 'SIGKILL'), GRACE_MS);
});
