/** A call may not cost much more than its arithmetic. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/overhead.mjs', import.meta.url));
/** A machine that does other things meanwhile may be this much slower; what creeps in is not that little. */
const SLACK = 4;

interface Report {
  targets: { sync: number; asyncAdds: number };
  results: { product: string; sync: number; syncOut: number; asyncAdds: number }[];
}

it('keeps the overhead of a call to microseconds', { timeout: 120_000 }, () => {
  const printed = execFileSync(process.execPath, [script, '--json'], { encoding: 'utf8' });
  const { targets, results } = JSON.parse(printed) as Report;
  expect(results).toHaveLength(3);
  for (const { product, sync, syncOut, asyncAdds } of results) {
    expect(sync, product).toBeLessThan(SLACK * targets.sync);
    expect(syncOut, `${product} with out`).toBeLessThan(SLACK * targets.sync);
    expect(asyncAdds, `${product} as a promise`).toBeLessThan(SLACK * targets.asyncAdds);
  }
});
