import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/**
 * A process that answers one JSON object a line with one a line.
 *
 * @param {string[]} command
 * @param {number[]} cores that it may run on
 * @param {string} device that JAX computes on
 */
export function startWorker(command, cores, device) {
  // Pinned alike, so that every peer has the same cores; JAX has no other way to be given a number of threads.
  const [file, ...args] = ['taskset', '-c', cores.join(','), ...command];
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...process.env,
      JAX_PLATFORMS: device,
      XLA_PYTHON_CLIENT_PREALLOCATE: 'false', // or JAX would take most of a GPU's memory from the others
      OMP_NUM_THREADS: String(cores.length),
    },
  });
  const failed = new Promise((_, reject) => child.on('error', reject));
  failed.catch(() => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    /** @param {object} request */
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await Promise.race([lines.next(), failed]);
      if (done) throw new Error(`${command.join(' ')} ended early`);
      return JSON.parse(value);
    },
    end: () => child.stdin.end(),
  };
}
