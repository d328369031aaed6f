/**
 * Many damaged copies of model files. Each test file runs in a process of its own, so a crash fails this file and nothing
 * else.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readModelFile } from '../../../lib/model/files/index.ts';
import { FOLDER } from './fixtures.ts';
import { readEntries, writeZip } from './write-zip.ts';

const COPIES = 300;

/** Numbers below a limit that are the same in every run (xorshift). */
function generator(): (limit: number) => number {
  let state = 0x9e3779b9;
  return (limit) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

type Random = ReturnType<typeof generator>;

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const count = 1 + random(4);
  for (let i = 0; i < count; ++i) {
    const at = random(copy.length);
    copy[at] = copy[at]! ^ (1 << random(8));
  }
  return copy;
}

function cutOrFlipped(bytes: Uint8Array, random: Random): Uint8Array {
  return random(6) === 0 ? bytes.slice(0, random(bytes.length)) : flipped(bytes, random);
}

/** How often reading ended with which code; `none` when the copy was a model all the same. */
async function outcomes(damage: () => Promise<Uint8Array>): Promise<Record<string, number>> {
  const codes: Record<string, number> = { none: 0, ERR_MODEL_LOAD: 0, ERR_UNSUPPORTED_OP: 0 };
  for (let i = 0; i < COPIES; ++i) {
    let code = 'none';
    try {
      await readModelFile(await damage(), { trusted: true });
    } catch (error) {
      code = (error as { code?: string }).code ?? String(error);
    }
    codes[code] = (codes[code] ?? 0) + 1;
  }
  return codes;
}

test.each(['mlp.pt', 'lstm.pt', 'transformer.pt2', 'tied.old.pt2'])(
  '%s, cut or with bits flipped anywhere',
  { timeout: 120_000 },
  async (file) => {
    const random = generator();
    const original = readFileSync(join(FOLDER, file));
    const { none, ERR_MODEL_LOAD, ERR_UNSUPPORTED_OP, ...others } = await outcomes(async () =>
      cutOrFlipped(original, random),
    );
    expect(others).toEqual({});
    // Flips in what nobody reads, such as times of entries, do no harm.
    expect(ERR_MODEL_LOAD).toBeGreaterThan(COPIES / 2);
  },
);

/** The archive is written anew, so that its checksums are right and the readers behind them see the damage. */
test.each(['mlp.pt', 'cnn.script.pt', 'lstm.pt', 'hand-written.pt2', 'tied.old.pt2'])(
  '%s, with damaged content and mended checksums',
  { timeout: 120_000 },
  async (file) => {
    const random = generator();
    const original = readFileSync(join(FOLDER, file));
    const { none, ERR_MODEL_LOAD, ERR_UNSUPPORTED_OP, ...others } = await outcomes(async () => {
      const entries = await readEntries(original);
      const read = entries.filter(
        ({ name, data }) => data.length > 0 && /\.(pkl|json|py|pt)$|version$/.test(name),
      );
      const victim = read[random(read.length)]!;
      victim.data = cutOrFlipped(victim.data, random);
      return writeZip(entries);
    });
    expect(others).toEqual({});
    expect(ERR_MODEL_LOAD).toBeGreaterThan(COPIES / 10);
  },
);
