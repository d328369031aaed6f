/** The readers, and what their fuzzers begin from. */
export { SEEDS, wordsOf } from './seeds.ts';
export * as targets from './targets.ts';
