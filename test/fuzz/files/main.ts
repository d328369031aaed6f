/**
 * The fuzzer of one reader, in a process of its own: `node fuzz-files.cjs READERS TARGET SECONDS SEED FOLDER INPUTS`.
 * `FOLDER/TARGET.input` is the input that runs, for whoever sees this process end or hang.
 */
import { ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { Coverage } from './coverage.ts';
import { filesIn, fuzz } from './loop.ts';

const [readers, target, seconds, seed, folder, inputs] = process.argv.slice(2) as [
  string,
  string,
  ...string[],
];
void main();

async function main() {
  // Before the readers are loaded, for their blocks to be counted.
  const coverage = new Coverage(readers);
  const { SEEDS, targets, wordsOf } = createRequire(import.meta.url)(readers) as typeof import('./index.ts');
  const own = await SEEDS[target as keyof typeof targets]!();
  const corpus = join(folder!, 'corpus', target);
  mkdirSync(corpus, { recursive: true });
  const current = openSync(join(folder!, `${target}.input`), 'w');
  const result = await fuzz({
    target: targets[target as keyof typeof targets],
    coverage,
    seeds: [...own, ...filesIn(join(inputs!, target))],
    corpus,
    words: wordsOf(own),
    milliseconds: 1000 * Number(seconds),
    seed: Number(seed),
    before: (bytes) => {
      ftruncateSync(current, bytes.length);
      writeSync(current, bytes, 0, bytes.length, 0);
    },
  });
  console.log(JSON.stringify(result));
}
