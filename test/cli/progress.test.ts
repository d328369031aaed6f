/** What a person at a terminal sees while a solver runs, and what is left when it is ended. */
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { interruptible } from '../../lib/cli/interrupt.ts';
import { filesOf, npy } from './files.ts';
import { onScreen } from './screen.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.mjs', import.meta.url));
/** To tell a hang from a busy machine. */
const HANG = { timeout: 300_000 };
const ON = ['--model', 'wide.json', '--x', 'x.npy', '--seed', '1', '--json', 'r.json'];

const TRAIN = ['train', '--loss', 'mse', '--target', 'y.npy', '--out', 'p.npy'];

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
    'y.npy': npy(
      Float32Array.from({ length: 256 }, (_, i) => Math.sin(3 * i)),
      [256, 1],
    ),
  });
  const watch = (args: string[], onData?: Parameters<typeof onScreen>[2]['onData'], columns = 80) =>
    onScreen(process.execPath, [CLI, ...args, ...ON], {
      columns,
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

it.each([80, 50])(
  'train shows its steps and the loss, then what it came to, in %i columns',
  HANG,
  async (columns) => {
    const { watch } = await wide();
    const screen = await watch([...TRAIN, '--steps', '5'], undefined, columns);
    expect(screen.end).toEqual({ exitCode: 0, signal: 0 });
    expect(screen.bytes).toMatch(/ 0\/5 steps, loss 0\.\d+/);
    expect(screen.bytes).toMatch(/█ 5\/5 steps, loss 0\.\d+/);
    expect(screen.wrapped).toEqual([]);
    expect(screen.rows.join('\n')).not.toMatch(/█|\/5 steps/);
    expect(screen.rows.join(' ')).toMatch(/^levenberg-marquardt, mse of wide\.json, 4417 parameters/);
    expect(screen.rows.join(' ')).toMatch(
      / 5 steps, \d of them taken, \d+ products, .* all steps were done$/,
    );
  },
);

describe('train, interrupted', () => {
  const ENDLESS = [...TRAIN, '--steps', '100000000', '--gradient-tolerance', '0', '--html', 'r.html'];
  type Pty = { write(data: string): void; kill(signal: string): void };
  const HOW: readonly [string, number, (pty: Pty) => void][] = [
    ['Ctrl-C', 130, (pty) => pty.write('\x03')],
    ['SIGTERM', 143, (pty) => pty.kill('SIGTERM')],
  ];

  it.each(HOW)('by %s: writes what it reached, and says so', HANG, async (_, exitCode, interrupt) => {
    const { watch, run, json, folder } = await wide();
    let ended = 0;
    const screen = await watch(ENDLESS, (bytes, pty) => {
      if (ended > 0 || !/ [2-9]\d*\/\d+ steps/.test(bytes)) return;
      ended = performance.now();
      interrupt(pty);
    });
    expect(performance.now() - ended).toBeLessThan(30_000);
    expect(screen.end).toEqual({ exitCode, signal: 0 });
    const { reason, steps, accepted, records, initialLoss, finalLoss } = await json('r.json');
    expect(reason).toBe('interrupted');
    expect(steps).toBe(records.length);
    expect(steps).toBeGreaterThan(1);
    expect(finalLoss).toBeLessThan(initialLoss);
    expect(accepted).toBeGreaterThan(0);
    const text = screen.rows.join('');
    expect(text).toContain(
      `torch-curvature: interrupted after ${steps} steps: p.npy has the parameters so far`,
    );
    expect(await readFile(join(folder, 'r.html'), 'utf8')).toContain(`interrupted after ${steps} steps`);

    const again = ['train', '--model', 'wide.json', '--x', 'x.npy', '--loss', 'mse', '--target', 'y.npy'];
    await run(...again, '--params', 'p.npy', '--steps', '1', '--out', 'q.npy', '--json', 'q.json');
    expect((await json('q.json')).initialLoss).toBe(finalLoss);
  });

  it('within the first step: leaves everything as it was', HANG, async () => {
    const { watch, folder } = await wide();
    for (const name of ['p.npy', 'r.json']) await writeFile(join(folder, name), 'before');
    const before = (await readdir(folder)).sort();
    let ended = false;
    const long = ['--max-iterations', '100000000', '--tolerance', '0', '--damping', '1e-15'];
    const screen = await watch([...ENDLESS.slice(0, -2), ...long], (bytes, pty) => {
      if (ended || !/ 0\/\d+ steps/.test(bytes)) return;
      ended = true;
      pty.write('\x03');
    });
    expect(screen.end).toEqual({ exitCode: 130, signal: 0 });
    expect(screen.rows.join('')).toContain('interrupted before the first step was done: nothing is written');
    expect((await readdir(folder)).sort()).toEqual(before);
    for (const name of ['p.npy', 'r.json']) expect(await readFile(join(folder, name), 'utf8')).toBe('before');
  });

  it('listens until the first signal only: a second one does what it does elsewhere', async () => {
    const before = process.listeners('SIGINT');
    const { result, interrupt } = await interruptible(async (signal) => {
      const [ours, ...more] = process.listeners('SIGINT').filter((each) => !before.includes(each));
      expect(more).toEqual([]);
      expect(signal.aborted).toBe(false);
      ours!('SIGINT');
      expect(signal.aborted).toBe(true);
      expect(process.listeners('SIGINT')).toEqual(before);
      return 7;
    });
    expect({ result, interrupt }).toEqual({ result: 7, interrupt: 'SIGINT' });
    await interruptible(async () => {});
    expect(process.listeners('SIGINT')).toEqual(before);
  });
});
