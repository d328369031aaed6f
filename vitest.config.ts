import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/**
 * Files that have the machine to themselves: they compile all of it, compare times, end by the clock what takes long, or
 * count what others would disturb.
 */
const ALONE = [
  'test/package/{package,offline}.test.ts',
  'test/release/release.test.ts',
  'test/native/fuzz/*.test.ts',
  'test/profiler/*.test.ts',
  'test/addon/{async,event-loop,overhead}.test.ts',
];

/**
 * Files that compute and leave nothing behind: several in one process, which loads libtorch once. Others change what a
 * process has one of, or look at it: settings, counters, threads, memory.
 */
const SHARED = [
  'test/{model,operators,solvers}/**/*.test.ts',
  'test/products/{empty,engines,linearize,products,rows}.test.ts',
  'test/{bad-input,inspect,options}.test.ts',
];

/** Files that `npm test` leaves to CI (scripts/test.mjs). */
const WITHOUT = (process.env.TORCH_CURVATURE_TESTS_WITHOUT ?? '').split(',').filter(Boolean);

/** Files beside one another: one more than there are processors, as many of them wait for processes that they start. */
const WIDTH = Math.min(4, availableParallelism() + 1);

/** Those that take long begin first, or the machine would wait for them at the end. */
class LongestFirst extends BaseSequencer {
  static readonly #LONG =
    /\/test\/(native\/native|distributed\/distributed|products\/instructions|model\/families)\./;

  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isShort = ({ moduleId }: TestSpecification) => Number(!LongestFirst.#LONG.test(moduleId));
    return (await super.sort(files)).sort((a, b) => isShort(a) - isShort(b));
  }
}

/** The package by its name is `dist`; for coverage, which is of the sources, these. */
const SOURCES = { 'torch-curvature': fileURLToPath(new URL('lib/index.ts', import.meta.url)) };

export default defineConfig({
  resolve: { alias: process.env.TORCH_CURVATURE_TEST_SOURCES ? SOURCES : {} },
  test: {
    // The addon is native code with threads of its own: each file gets a process.
    pool: 'forks',
    // To tell a hang from a busy machine; no test is about how long it takes.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Threads that wait without turning: on a busy machine the others get the processor meanwhile.
    env: { OMP_WAIT_POLICY: process.env.OMP_WAIT_POLICY ?? 'passive' },
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'shared',
          include: SHARED,
          exclude: WITHOUT,
          isolate: false,
          maxWorkers: WIDTH,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...ALONE, ...SHARED, ...WITHOUT],
          maxWorkers: WIDTH,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'alone',
          include: ALONE,
          exclude: WITHOUT,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
