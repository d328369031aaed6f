/**
 * Models without parameters, trainable ones or elements of them, without outputs, and batches without rows: zeros and
 * empty arrays of the right shapes, in every product. In another process, which none may end: the cases after one that
 * does have a process of their own.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, it } from 'vitest';
import { someOf } from '../support/counts.ts';

const SCRIPT = fileURLToPath(new URL('../fixtures/empty.mjs', import.meta.url));
const CASES: string[] = someOf(JSON.parse(execFileSync(process.execPath, [SCRIPT], { encoding: 'utf8' })));

/** By case, what it printed and how its process ended. */
const outcomes = new Map<string, { printed: string; end: string }>();

beforeAll(() => {
  for (let left = CASES; left.length > 0; left = left.filter((name) => !outcomes.has(name))) {
    const child = spawnSync(process.execPath, [SCRIPT, ...left], { encoding: 'utf8', maxBuffer: 2 ** 26 });
    const end = `${child.signal ?? child.status}\n${child.stderr}`;
    for (const printed of child.stdout.split(/^case: /m).slice(1)) {
      outcomes.set(printed.slice(0, printed.indexOf('\n')), { printed, end });
    }
    if (!outcomes.has(left[0]!)) throw new Error(`${left[0]} was not begun: ${end}`);
  }
});

it.each(CASES)('%s', (name) => {
  const { printed, end } = outcomes.get(name)!;
  expect(printed.trim().split('\n').at(-1), `${printed}\n${end}`).toBe(`done: ${name}`);
});
