/** The fixed products of scripts/instructions.mjs keep to the committed budget of instructions. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/instructions.mjs', import.meta.url));
const SKIPPED = 77;
const MINUTES = 60_000;

/** The first run builds the program, and the core where only the addon's own build is there. */
it('needs no more instructions than budgeted', { timeout: 20 * MINUTES }, ({ skip }) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  if (status === SKIPPED) {
    skip(stdout.trim().replace('Skipping the instruction counts: ', ''));
  }
  expect(status, `${stdout}${stderr}`).toBe(0);
});
