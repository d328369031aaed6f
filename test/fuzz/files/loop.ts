/** The fuzzer of one reader: keeps the inputs that make it run what did not run before, and changes them further. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Coverage } from './coverage.ts';
import { mutate, random } from './mutate.ts';

export interface Run {
  target: (bytes: Uint8Array) => Promise<void>;
  coverage: Coverage;
  /** To begin from. */
  seeds: readonly Uint8Array[];
  /** Of files to begin from as well, to which those are added that are found on the way. */
  corpus: string;
  words: readonly string[];
  milliseconds: number;
  seed: number;
  /** Is told each input before it is run. */
  before: (bytes: Uint8Array) => void;
}

/** Bytes that the process may have at its highest point. */
const MEMORY = 2 ** 31;
/** Inputs between two looks at the coverage, which cost more than most inputs do. */
const TOGETHER = 16;

/** @throws what the reader threw that it should not have; `before` was told the input last */
export async function fuzz({ target, coverage, seeds, corpus, words, milliseconds, seed, before }: Run) {
  const draw = random(seed);
  const kept = [...seeds, ...filesIn(corpus)];
  let inputs = 0;
  const run = async (bytes: Uint8Array) => {
    inputs += 1;
    before(bytes);
    await target(bytes);
    if (process.resourceUsage().maxRSS * 1024 > MEMORY) throw new Error('the process had more than 2 GiB');
  };
  for (const bytes of kept) await run(bytes);
  coverage.look(true);
  const end = performance.now() + milliseconds;
  while (performance.now() < end) {
    const children = Array.from({ length: TOGETHER }, () =>
      mutate(kept[draw(kept.length)]!, kept, words, draw),
    );
    for (const child of children) await run(child);
    if (!coverage.look(false)) continue;
    // Which of them it was shows when each runs by itself.
    for (const child of children) {
      await run(child);
      if (!coverage.look(true)) continue;
      kept.push(child);
      writeFileSync(join(corpus, nameOf(child)), child);
    }
  }
  return { inputs, kept: kept.length, functions: coverage.functions };
}

/** A name for a file, from its content. */
export function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, 16);
}

/** The contents of the files in a folder, which need not be there. */
export function filesIn(folder: string): Uint8Array[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .sort()
    .map((name) => readFileSync(join(folder, name)));
}
