import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The addon is native code with threads of its own: each file gets a process, and files do not share the cores.
    pool: 'forks',
    fileParallelism: false,
    // To tell a hang from a busy machine; no test is about how long it takes.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Threads that wait without turning: on a busy machine the others get the processor meanwhile.
    env: { OMP_WAIT_POLICY: process.env.OMP_WAIT_POLICY ?? 'passive' },
  },
});
