/** What a person at a terminal sees: everything that was printed, whole, and a terminal as it was before. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fitProfile, fitTable, textWidth, wrapWords } from '../../lib/cli/fit.ts';
import { formatMs, formatNumbers, formatPeak } from '../../lib/cli/format.ts';
import { someOf } from '../support/counts.ts';
import { temporaryFolder } from './run.ts';
import { onScreen, type Screen } from './screen.ts';

const CLI = fileURLToPath(new URL('../../dist/cli.mjs', import.meta.url));
const WIDTHS = [60, 80, 120];
const SMALL = ['--hidden', '8', '--batch', '64', '--repeat', '1', '--threads', '1'];
/** To tell a hang from a busy machine. */
const HANG = { timeout: 300_000 };

const bench = (columns: number, args: readonly string[], options: object = {}) =>
  onScreen(process.execPath, [CLI, 'bench', ...args], { columns, ...options });

const ESC = '\x1b';

/** What the status line writes, which each later one replaces. */
const STATUS = new RegExp(`\r[^\r\n${ESC}]*${ESC}\\[K`, 'g');

/** What went to standard output, of a run whose standard error is the same terminal. */
const printed = ({ bytes }: Screen) =>
  bytes
    .replace(STATUS, '')
    .split('\r\n')
    .map((line) => line.trimEnd());

function expectTerminalAsBefore(screen: Screen) {
  expect(screen.wrapsLines).toBe(true);
  expect(screen.showsCursor).toBe(true);
  // Nothing was switched at all, so that nothing can be left switched, whatever ends the process.
  expect(screen.bytes.replace(STATUS, '')).not.toContain(ESC);
}

describe.each(someOf(WIDTHS))('%i columns', (columns) => {
  it('bench shows a progress bar, then all of its results', HANG, async () => {
    const folder = await temporaryFolder();
    const args = [...SMALL, '--sweep', 'hidden=4,1024', '--json', 'r.json'];
    const screen = await bench(columns, args, { cwd: folder });
    expect(screen.end).toEqual({ exitCode: 0, signal: 0 });
    expectTerminalAsBefore(screen);
    expect(screen.bytes).toMatch(/█.* 3\/7 hidden = 4/);

    const lines = printed(screen);
    while (lines.at(-1) === '') lines.pop();
    expect(screen.rows).toEqual(lines);
    expect(screen.wrapped).toEqual([]);

    const results = JSON.parse(await readFile(join(folder, 'r.json'), 'utf8'));
    const { dense, onTheFly, sweep } = results;
    expect(sweep).toHaveLength(2);
    const flat = screen.rows.join('\n').replaceAll(/[\s│]+/g, ' ');
    for (const product of [dense, onTheFly]) {
      expect(flat).toContain(formatNumbers(product.head));
      expect(flat).toContain(formatNumbers(product.tail));
    }
    for (const product of [dense, onTheFly, sweep[0].dense, sweep[0].onTheFly, sweep[1].onTheFly]) {
      expect(screen.rows.some((row) => row.includes(formatMs(product.minMs)))).toBe(true);
      expect(screen.rows.some((row) => row.includes(formatPeak(product)))).toBe(true);
    }
    expect(flat).toContain(sweep[1].refusal);
    expect(flat).toMatch(/, 1 thread\. /);
    expect(flat.match(/Self CPU time total: [\d.]+[mu]?s/g)).toHaveLength(2);
  });

  it('the other commands keep to the width', HANG, async () => {
    const commands = ['bench', 'matvec', 'eigs', 'trace', 'spectrum', 'train', 'completion'];
    for (const args of [['--help'], ...commands.map((name) => [name, '--help']), ['info']]) {
      const screen = await onScreen(process.execPath, [CLI, ...args], { columns });
      expect(screen.end.exitCode).toBe(0);
      expectTerminalAsBefore(screen);
      // A long path is left to the terminal to wrap, which can copy it whole.
      if (args[0] !== 'info') expect(screen.wrapped).toEqual([]);
    }
  });
});

describe('a terminal is as before', () => {
  /** Acts once the bar is there. */
  const onceBarShows = (
    act: (pty: Parameters<NonNullable<Parameters<typeof onScreen>[2]['onData']>>[1]) => void,
  ) => {
    let acted = false;
    return (bytes: string, pty: Parameters<typeof act>[0]) => {
      if (acted || !bytes.includes('memory, dense')) return;
      acted = true;
      act(pty);
    };
  };

  it.each([
    ['Ctrl-C', (pty: { write(data: string): void }) => pty.write('\x03'), 2],
    ['SIGTERM', (pty: { kill(signal: string): void }) => pty.kill('SIGTERM'), 15],
    ['SIGKILL', (pty: { kill(signal: string): void }) => pty.kill('SIGKILL'), 9],
  ] as const)('after %s', HANG, async (_, act, signal) => {
    const screen = await bench(80, SMALL, { onData: onceBarShows(act) });
    expect(screen.end.signal).toBe(signal);
    expectTerminalAsBefore(screen);
  });

  it('after an error, which stands on a line of its own', HANG, async () => {
    const screen = await bench(80, [...SMALL, '--device', 'cuda:63']);
    expect(screen.end.exitCode).toBe(1);
    expectTerminalAsBefore(screen);
    expect(screen.bytes).toContain('░');
    expect(screen.rows.join('')).toMatch(/^JᵀJ v of .*torch-curvature: .*\(ERR_DEVICE_UNAVAILABLE\)$/);
    expect(screen.rows.some((row) => row.startsWith('torch-curvature: '))).toBe(true);
  });

  it('where the results go to a file, which gets the full width', HANG, async () => {
    const folder = await temporaryFolder();
    const command = `"$0" "$1" bench ${SMALL.join(' ')} > out.txt`;
    const screen = await onScreen('/bin/sh', ['-c', command, process.execPath, CLI], {
      columns: 60,
      cwd: folder,
    });
    expect(screen.end.exitCode).toBe(0);
    expectTerminalAsBefore(screen);
    expect(screen.bytes).toContain('memory, dense');
    expect(screen.rows).toEqual([]);
    const text = await readFile(join(folder, 'out.txt'), 'utf8');
    expect(text).not.toContain(ESC);
    expect(text).not.toContain('\r');
    expect(textWidth(text)).toBeGreaterThan(110);
  });

  it.each(someOf([{ TERM: 'dumb' }, { CI: 'true' }]))('%j: there is no bar', HANG, async (env) => {
    const screen = await bench(80, SMALL, { env });
    expect(screen.end.exitCode).toBe(0);
    expect(screen.bytes).not.toContain(ESC);
    expect(screen.bytes).not.toMatch(/[█░]/);
    expect(screen.bytes.replaceAll('\r\n', '')).not.toContain('\r');
  });
});

describe('layout for a width', () => {
  const numbers = (text: string) =>
    (text.match(/[-\d.]+(?:e[-+]\d+)?%?/g) ?? []).filter((each) => /\d/.test(each));
  const widths = Array.from({ length: 30 }, (_, i) => 40 + 5 * i);

  const head = ['', 'min', 'peak memory', 'first 3'];
  const rows = [
    ['Dense', '10.5 ms', '165 MB', '-388.0337, -89.5677, 32.7444'],
    ['On-The-Fly', '1.49 ms', '< 4.10 kB', '-388.0336, -89.5677, 32.7444'],
  ];
  const columns = ['Name', 'Self CPU %', 'Self CPU', 'CPU Mem', '# of Calls', 'Total KFLOPs'];
  const operators = [
    ['torch_curvature::matvec_on_the_fly', '41.25%', '1.234ms', '-153.36 MB', '12', '8.832'],
    ['aten::addmm', '0.03%', '53.482us', '516 B', '3', '--'],
  ];
  const line = (cells: string[]) =>
    `${cells.map((cell, i) => cell.padStart(i === 0 ? 38 : 12)).join('  ')}  \n`;
  const rule = line(columns.map((_, i) => '-'.repeat(i === 0 ? 38 : 12)));
  const profile = `${rule}${line(columns)}${rule}${operators.map(line).join('')}${rule}Self CPU time total: 167.793ms\n`;

  it.each(widths)('%i columns: every figure is whole, and in its line', (width) => {
    const table = fitTable(head, rows, width);
    expect(textWidth(table)).toBeLessThanOrEqual(width);
    expect(numbers(table)).toEqual(expect.arrayContaining(numbers(rows.flat().join(' '))));

    const folded = fitProfile(profile, width);
    expect(textWidth(folded)).toBeLessThanOrEqual(width);
    for (const row of operators) {
      for (const cell of row) expect(folded).toContain(cell);
    }
    expect(folded).toContain('Self CPU time total: 167.793ms');

    const words = 'libtorch 2.13.0, 1 thread. Peak memory: how much one product raised it, 1.5e-7 at most.';
    expect(textWidth(wrapWords(words, width))).toBeLessThanOrEqual(width);
    expect(wrapWords(words, width).replaceAll('\n', ' ')).toBe(words);
  });

  it('without a bound nothing changes', () => {
    expect(fitProfile(profile, Number.POSITIVE_INFINITY)).toBe(profile);
    expect(wrapWords(profile, Number.POSITIVE_INFINITY)).toBe(profile);
  });
});
