/** What a run comes to. */

const MIB = 2 ** 20;
/** Growth of the resident memory between the second quarter of a run and the last one that is no growth. */
const GROWTH = 24 * MIB;
/** Samples below which nothing can be said of growth: the heap of JavaScript takes as long to find its size. */
const ENOUGH = 60;

/** @returns {string[]} what is wrong with a run; nothing, if it is as it should be */
export function judge({ outcomes, samples, rest, end }) {
  const faults = [];
  const unexpected = outcomes.filter(({ fault }) => fault !== undefined);
  for (const [text, count] of counted(unexpected.map(({ kind, fault }) => `${kind}: ${fault}`))) {
    faults.push(`${count} × ${text}`);
  }
  const growth = growthOf(samples);
  if (growth > GROWTH) faults.push(`grew by ${mib(growth)}`);
  if (rest.running > 0 || rest.queued > 0)
    faults.push(`${rest.running + rest.queued} operations were left behind`);
  if (rest.bytes > 0) faults.push(`${mib(rest.bytes)} of tensors were left behind`);
  if (end.code !== 0) faults.push(`the server ended with ${end.code}`);
  if (end.fault !== undefined) faults.push(`the last request, during the shutdown: ${end.fault}`);
  if (end.complaints !== '') faults.push(`the server said: ${end.complaints.trim()}`);
  return faults;
}

export function print({ minutes, concurrency, outcomes, samples }, faults) {
  const rate = outcomes.length / (minutes * 60);
  console.log(
    `${outcomes.length} requests in ${minutes} min, ${concurrency} at once: ${rate.toFixed(1)} a second\n`,
  );
  console.log(
    `${'kind'.padEnd(18)}${['count', 'p50', 'p95', 'p99', 'max ms'].map(right).join('')}  outcomes`,
  );
  for (const [kind, count] of counted(outcomes.map((each) => each.kind))) {
    const mine = outcomes.filter((each) => each.kind === kind);
    const times = mine.map(({ time }) => time).sort((a, b) => a - b);
    const numbers = [count, ...[0.5, 0.95, 0.99, 1].map((p) => quantile(times, p).toFixed(1))];
    const ends = counted(mine.map(({ outcome }) => outcome ?? 'UNEXPECTED'));
    console.log(
      `${kind.padEnd(18)}${numbers.map(right).join('')}  ${ends.map(([end, n]) => `${end} ${n}`).join(', ')}`,
    );
  }
  const memory = samples.list.map((each) => each.memory);
  const delays = samples.list.map((each) => each.delay).sort((a, b) => a - b);
  if (memory.length > 0) {
    const steps = Array.from({ length: 11 }, (_, i) => memory[Math.floor((i * (memory.length - 1)) / 10)]);
    console.log(`\nresident memory: ${steps.map(mib).join(' → ')}`);
    console.log(
      `event-loop delay, p99 of each second: median ${(1e3 * quantile(delays, 0.5)).toFixed(1)} ms`,
    );
  }
  if (memory.length < ENOUGH) console.log('growth: too short to tell');
  else console.log(`growth: ${mib(growthOf(samples))} from the second quarter to the last`);
  for (const fault of faults) console.log(`WRONG ${fault}`);
  console.log(faults.length === 0 ? 'all as it should be' : `${faults.length} faults`);
}

/** Bytes; 0 where the run was too short. */
function growthOf({ list }) {
  if (list.length < ENOUGH) return 0;
  const median = (from, to) => {
    const part = list.slice(from * list.length, to * list.length).map(({ memory }) => memory);
    return quantile(
      part.sort((a, b) => a - b),
      0.5,
    );
  };
  return median(0.75, 1) - median(0.25, 0.5);
}

function quantile(sorted, p) {
  return sorted[Math.min(sorted.length - 1, Math.floor(p * sorted.length))];
}

/** How often each occurs, most often first. @returns {[string, number][]} */
function counted(texts) {
  const counts = new Map();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort(([, a], [, b]) => b - a);
}

const mib = (bytes) => `${(bytes / MIB).toFixed(1)} MiB`;
const right = (text) => String(text).padStart(8);
