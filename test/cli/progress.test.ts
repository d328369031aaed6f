/** What a person at a terminal sees while a solver runs, and what is left when it is ended. */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { filesOf, npy } from './files.ts';
import { onScreen } from './screen.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.mjs', import.meta.url));
/** To tell a hang from a busy machine. */
const HANG = { timeout: 300_000 };
const ON = ['--model', 'wide.json', '--x', 'x.npy', '--seed', '1', '--json', 'r.json'];

/** A network for which solvers take a while. */
async function wide() {
  const files = await filesOf({
    'wide.json': JSON.stringify({
      layers: [['linear', 2, 64], ['tanh'], ['linear', 64, 64], ['tanh'], ['linear', 64, 1]],
    }),
    'x.npy': npy(
      Float32Array.from({ length: 512 }, (_, i) => Math.sin(i)),
      [256, 2],
    ),
  });
  const watch = (args: string[], onData?: Parameters<typeof onScreen>[2]['onData']) =>
    onScreen(process.execPath, [CLI, ...args, ...ON], {
      columns: 80,
      cwd: files.folder,
      ...(onData && { onData }),
    });
  return { ...files, watch };
}

it.each([
  [['trace', '--samples', '40'], / 40\/40 products, hutchinson, /],
  [['eigs', '--k', '2'], /\d+ products, Lanczos, /],
  [['spectrum', '--probes', '2', '--steps', '20'], / 40\/40 products, Lanczos, /],
])('%j shows its products, then its results, the same as without a terminal', HANG, async (args, status) => {
  const { watch, run, json } = await wide();
  const screen = await watch(args);
  expect(screen.end).toEqual({ exitCode: 0, signal: 0 });
  expect(screen.bytes).toMatch(/linearizing, /);
  expect(screen.bytes).toMatch(status);
  expect(screen.rows.join('\n')).not.toMatch(/█|linearizing/);
  expect(screen.rows[0]).toContain('gramian of wide.json');
  const { milliseconds: _, ...seen } = await json('r.json');
  expect((await run(...args, ...ON)).code).toBe(0);
  const { milliseconds: __, ...unseen } = await json('r.json');
  expect(seen).toEqual(unseen);
});

it('Ctrl-C ends a solver at once, and what was there before is as it was', HANG, async () => {
  const { watch, folder } = await wide();
  await writeFile(join(folder, 'r.json'), 'before');
  const before = (await readdir(folder)).sort();
  let ended = 0;
  const screen = await watch(['trace', '--samples', '100000000'], (bytes, pty) => {
    if (ended > 0 || !/[1-9]\d*\/\d+ products/.test(bytes)) return;
    ended = performance.now();
    pty.write('\x03');
  });
  expect(performance.now() - ended).toBeLessThan(30_000);
  expect(screen.end.signal).toBe(2);
  expect(screen.wrapsLines).toBe(true);
  expect(screen.showsCursor).toBe(true);
  expect((await readdir(folder)).sort()).toEqual(before);
});

it('where a solver fails, the error stands on a line of its own', HANG, async () => {
  const { watch } = await wide();
  const screen = await watch(['eigs', '--device', 'cuda:63']);
  expect(screen.end.exitCode).toBe(1);
  expect(screen.rows.join('')).toMatch(/^torch-curvature: .*\(ERR_DEVICE_UNAVAILABLE\)$/);
});
