/** Runs a part of the set-up again and again, each time interrupted at another of its changes to the file system. */
import { fileURLToPath } from 'node:url';
import { byCounts } from '../support/counts.ts';

const INTERRUPT = fileURLToPath(new URL('interrupt.mjs', import.meta.url));
/** As many run at a time. */
const WIDTH = 3;
/** Every change, or one of so many. */
const STRIDE = byCounts(6, 1);

/** How to start Node.js so that it is interrupted. */
export interface Interruption {
  node: readonly string[];
  env: { STEP: string; FAULT: string };
}

/**
 * @param fault as `interrupt.mjs` knows it
 * @param attempt makes a machine, starts the part, and checks what follows; returns what it said
 * @returns the changes at which it was interrupted: all that it makes, or one of so many
 */
export async function atEveryStep(
  fault: string,
  attempt: (interruption: Interruption) => Promise<string>,
): Promise<string[]> {
  const reached: string[] = [];
  for (let first = 1; ; first += STRIDE * WIDTH) {
    const said = await Promise.all(
      Array.from({ length: WIDTH }, (_, i) =>
        attempt({
          node: ['--import', INTERRUPT],
          env: { STEP: String(first + STRIDE * i), FAULT: fault },
        }),
      ),
    );
    for (const text of said) {
      const step = /^interrupted at (.*)$/m.exec(text)?.[1];
      if (step === undefined) return reached;
      reached.push(step);
    }
  }
}
