import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

/** Small limits, so that a run meets all of them. */
const SETTINGS = {
  PORT: '0',
  BODY_LIMIT: String(2 ** 20),
  CONCURRENCY: '2',
  MAX_QUEUE: '3',
  MEMORY_LIMIT: String(64 * 2 ** 20),
};

/**
 * The example server in a process of its own.
 * @param {string} module
 */
export async function startServer(module) {
  const child = spawn(process.execPath, [module], {
    env: { ...process.env, ...SETTINGS },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let complaints = '';
  child.stderr.on('data', (chunk) => {
    complaints += chunk;
  });
  const lines = createInterface({ input: child.stdout });
  const [first] = await Promise.race([
    once(lines, 'line'),
    exited.then(([code]) => Promise.reject(new Error(`the server ended with ${code}: ${complaints}`))),
  ]);
  // What it says later is what it logs: warnings and errors.
  lines.on('line', (line) => {
    complaints += `${line}\n`;
  });
  return {
    url: first.replace('listening on ', ''),
    /**
     * Asks it to end while a request runs, which should be answered still.
     * @param {() => Promise<{ fault?: string }>} request
     */
    async stop(request) {
      const last = request().catch((error) => ({ fault: error.message }));
      await sleep(20);
      child.kill('SIGTERM');
      const { fault } = await last;
      const [code, signal] = await exited;
      return { code: code ?? signal, complaints, fault };
    },
    kill: () => child.kill('SIGKILL'),
  };
}
