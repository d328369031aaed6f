import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const here = (name) => fileURLToPath(new URL(name, import.meta.url));

/**
 * The peers' processes, each started when it is first asked for and kept for the cases that follow: what it imports and
 * what a GPU's libraries set up is paid once.
 *
 * @param {{ python: string, threads: number, device: string }} how
 */
export function startPeers({ python, threads, device }) {
  const commands = {
    ours: [process.execPath, here('ours.mjs')],
    torch: [python, '-W', 'ignore', here('torch_peer.py')],
    jax: [python, '-W', 'ignore', here('jax_peer.py')],
  };
  const workers = {};
  const fresh = (peer) => startWorker(commands[peer], threads, device);
  return {
    worker(peer) {
      workers[peer] ??= fresh(peer);
      return workers[peer];
    },
    fresh,
    /** When all have ended. */
    end: () => Promise.all(Object.values(workers).map((worker) => worker.end())),
  };
}

/**
 * A process that answers one JSON object a line with one a line.
 *
 * @param {string[]} command
 * @param {number} threads
 * @param {string} device that JAX computes on
 */
function startWorker(command, threads, device) {
  // Pinned alike, so that every peer has the same cores; JAX has no other way to be given a number of threads. Where a
  // GPU computes, the cores are for the compilers.
  const cores = Array.from({ length: threads }, (_, i) => i).join(',');
  const [file, ...args] = [...(device === 'cpu' ? ['taskset', '-c', cores] : []), ...command];
  const child = spawn(file, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: {
      ...process.env,
      JAX_PLATFORMS: device,
      XLA_PYTHON_CLIENT_PREALLOCATE: 'false', // or JAX would take most of a GPU's memory from the others
      OMP_NUM_THREADS: String(threads),
    },
  });
  const failed = new Promise((_, reject) => child.on('error', reject));
  failed.catch(() => {});
  child.stdin.on('error', () => {}); // `ask` says that the process ended
  const closed = new Promise((resolve) => child.on('close', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    /** @param {object} request */
    async ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await Promise.race([lines.next(), failed]);
      if (done) throw new Error(`${command.join(' ')} ended early`);
      return JSON.parse(value);
    },
    /** When it has ended. */
    end() {
      child.stdin.end();
      return Promise.race([closed, failed.catch(() => {})]);
    },
  };
}
