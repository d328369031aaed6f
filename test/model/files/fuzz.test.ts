/**
 * Many damaged copies of model files. Each test file runs in a process of its own, so a crash fails this file and nothing
 * else.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readModelFile } from '../../../lib/model/files/index.ts';
import { someOf } from '../../support/counts.ts';
import { FOLDER } from './fixtures.ts';
import { readEntries, writeZip } from './write-zip.ts';

const COPIES = 300;

type Damage = (bytes: Uint8Array) => Uint8Array;

const cuts: fc.Arbitrary<Damage> = fc.nat().map((end) => (bytes) => bytes.slice(0, end % bytes.length));

const flips: fc.Arbitrary<Damage> = fc
  .array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 4 })
  .map((bits) => (bytes) => {
    const copy = Uint8Array.from(bytes);
    for (const [at, bit] of bits) copy[at % copy.length]! ^= 1 << bit;
    return copy;
  });

const damages = fc.oneof({ weight: 1, arbitrary: cuts }, { weight: 5, arbitrary: flips });

/** Reads copies of a file, each of which should give a model or one of two codes; how many gave `ERR_MODEL_LOAD`. */
async function refusals(damage: (how: Damage, choice: number) => Uint8Array): Promise<number> {
  let refused = 0;
  const reading = async (how: Damage, choice: number) => {
    try {
      await readModelFile(damage(how, choice), { trusted: true });
    } catch (error) {
      expect(error).toHaveProperty('code', expect.stringMatching(/^ERR_(MODEL_LOAD|UNSUPPORTED_OP)$/));
      refused += Number((error as { code: string }).code === 'ERR_MODEL_LOAD');
    }
  };
  await fc.assert(fc.asyncProperty(damages, fc.nat(), reading), { numRuns: COPIES, seed: 1 });
  return refused;
}

test.each(someOf(['mlp.pt', 'lstm.pt', 'tied.old.pt2', 'transformer.pt2']))(
  '%s, cut or with bits flipped anywhere',
  async (file) => {
    const original = readFileSync(join(FOLDER, file));
    // Flips in what nobody reads, such as times of entries, do no harm.
    expect(await refusals((damage) => damage(original))).toBeGreaterThan(COPIES / 2);
  },
);

/** The archive is written anew, so that its checksums are right and the readers behind them see the damage. */
test.each(someOf(['mlp.pt', 'cnn.script.pt', 'lstm.pt', 'hand-written.pt2', 'tied.old.pt2']))(
  '%s, with damaged content and mended checksums',
  async (file) => {
    const entries = await readEntries(readFileSync(join(FOLDER, file)));
    const read = entries.filter(
      ({ name, data }) => data.length > 0 && /\.(pkl|json|py|pt)$|version$/.test(name),
    );
    const damaged = (damage: Damage, choice: number) => {
      const victim = read[choice % read.length];
      return writeZip(
        entries.map((entry) => (entry === victim ? { ...entry, data: damage(entry.data) } : entry)),
      );
    };
    expect(await refusals(damaged)).toBeGreaterThan(COPIES / 10);
  },
);
