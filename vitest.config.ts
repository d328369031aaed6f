import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // The addon is native code with threads of its own: each file gets a process, and files do not share the cores.
    pool: 'forks',
    fileParallelism: false,
    testTimeout: 30_000,
  },
});
