/**
 * How long the threads of OpenMP, on which libtorch computes, keep their cores while they wait for the next loop. By
 * default that is some milliseconds: nothing is faster on cores of one's own, but beside busy neighbors a thread that
 * waits for another holds up the one it waits for. The library reads its environment once, when it is loaded.
 */
import { availableParallelism, cpus, loadavg } from 'node:os';

/**
 * Looks at the next loop before a thread sleeps: as many as fill the gap between two small products, and where others
 * compete for the cores only those that fill the gap between two loops of one. One takes 10 to 50 ns.
 */
const LOOKS = { alone: 5000, shared: 1000 };

/** What users set where they know better. */
const SETTINGS = ['OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'];

/** Whether others use the cores: the machine is busy, or gives this process fewer than there are. */
function coresAreShared(): boolean {
  const cores = cpus().length;
  return loadavg()[0]! > cores / 2 || availableParallelism() < cores;
}

/**
 * Calls `load`, which loads libtorch, with bounded waiting for it. In a worker of Node.js the environment is a copy that
 * libraries do not see: there the default of OpenMP remains, unless the main thread has loaded libtorch before.
 */
export function withBoundedWaiting<T>(load: () => T): T {
  if (process.platform !== 'linux' || SETTINGS.some((name) => process.env[name] !== undefined)) return load();
  process.env.GOMP_SPINCOUNT = String(coresAreShared() ? LOOKS.shared : LOOKS.alone);
  try {
    return load();
  } finally {
    // Processes that are started from here are none of this package's business.
    delete process.env.GOMP_SPINCOUNT;
  }
}
