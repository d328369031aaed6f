/**
 * How much the tests try of what has no end: random programs, calls, places to interrupt. `npm test` tries what a change
 * wants to know within minutes; `TORCH_CURVATURE_TEST_COUNTS=ci`, which `.ci/run` sets, several times as much, and `full`
 * as much as a server does in a day. The core's tests read the same variable.
 */
const LEVELS = ['usual', 'ci', 'full'] as const;

const given = process.env.TORCH_CURVATURE_TEST_COUNTS ?? 'usual';
if (!(LEVELS as readonly string[]).includes(given)) {
  throw new Error(`TORCH_CURVATURE_TEST_COUNTS should be ${LEVELS.join(', ')}, got ${given}`);
}

export const counts = given as (typeof LEVELS)[number];

/** One of the three; what is left out is as the one before. */
export function byCounts<T>(usual: T, ci: T = usual, full: T = ci): T {
  return { usual, ci, full }[counts];
}

/** The rows of a long table: in `npm test` each third, or one of so many, beginning with the first; in CI every one. */
export function someOf<T>(rows: readonly T[], each = 3): T[] {
  return byCounts(
    rows.filter((_, index) => index % each === 0),
    [...rows],
  );
}
