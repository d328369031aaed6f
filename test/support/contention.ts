/** How busy the machine is with others' work. */

const SPIN = 20_000; // microseconds of this process's time

/** Times longer that work takes here and now than on an idle machine, at least 1: a spin's time on the clock over its own. */
export function contention(): number {
  const begin = performance.now();
  const before = process.cpuUsage();
  let spent = 0;
  while (spent < SPIN) {
    const { user, system } = process.cpuUsage(before);
    spent = user + system;
  }
  return Math.max(1, ((performance.now() - begin) * 1000) / spent);
}
