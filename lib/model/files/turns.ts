/** Long work on JavaScript's thread, in slices between which the event loop takes its turns. */

/** Milliseconds that one slice of work may take before others get their turn. */
const SLICE = 3;

/** Work that waits for its next slice: one slice is done in each turn, however many files are read at once. */
const waiting: (() => void)[] = [];

function next(): void {
  waiting.shift()!();
  if (waiting.length > 0) setImmediate(next);
}

/** The slices of one piece of work. */
export class Turns {
  #begin = performance.now();

  /** Waits for the next slice where this one was long enough; to be called every few thousand steps. */
  async pass(): Promise<void> {
    if (performance.now() - this.#begin < SLICE) return;
    await new Promise<void>((resolve) => {
      waiting.push(resolve);
      if (waiting.length === 1) setImmediate(next);
    });
    this.#begin = performance.now();
  }
}

/** Bytes that are copied or summed in a fraction of a slice. */
const PIECE = 2 ** 21;

/** Views of the bytes, one after another, each small enough for a slice. */
export function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let begin = 0; begin < bytes.length; begin += PIECE) yield bytes.subarray(begin, begin + PIECE);
}

/** Copies bytes to where there is room for them. */
export async function copyBytes(from: Uint8Array, to: Uint8Array, turns: Turns): Promise<void> {
  let done = 0;
  for (const piece of pieces(from)) {
    to.set(piece, done);
    done += piece.length;
    await turns.pass();
  }
}
