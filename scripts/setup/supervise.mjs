/**
 * Runs a program, `node supervise.mjs program [arguments]`, as the head of a process group, and ends the whole group when
 * whoever started it is gone: its end of our standard input closes then, even if it was killed.
 */
import { spawn } from 'node:child_process';

const [program, ...args] = process.argv.slice(2);
const child = spawn(program, args, { stdio: ['ignore', 'inherit', 'inherit'] });
child.on('error', (error) => {
  console.error(error.message);
  process.exit(error.code === 'ENOENT' ? 127 : 126);
});
child.on('exit', (code) => process.exit(code ?? 1));
process.stdin.on('close', () => process.kill(-process.pid, 'SIGKILL')).resume();
