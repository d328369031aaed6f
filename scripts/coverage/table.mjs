/** Shares of what ran, by room and by file. */
import { dirname } from 'node:path';

/**
 * @typedef {object} Share
 * @property {number} ran
 * @property {number} all
 *
 * @typedef {{ lines: Share, branches: Share }} Shares
 */

/** The least covered files that are named, each with at least so many lines. */
const [NAMED, MIN_LINES] = [10, 20];

/**
 * @param {Map<string, Shares>} files by path
 * @returns {string} a row for each folder, one for all, then the least covered files
 */
export function table(files) {
  /** @type {Map<string, Shares>} */
  const rooms = new Map();
  for (const [file, shares] of [...files].sort(([a], [b]) => (a < b ? -1 : 1)))
    for (const room of [dirname(file), 'all']) rooms.set(room, sum(rooms.get(room), shares));
  const all = rooms.get('all');
  rooms.delete('all');
  const least = [...files]
    .filter(([, { lines }]) => lines.all >= MIN_LINES)
    .sort(([, a], [, b]) => part(a.lines) - part(b.lines))
    .slice(0, NAMED);
  return [
    ...[...rooms].map(row),
    ...(all ? [row(['all', all])] : []),
    'Least covered:',
    ...least.map(row),
  ].join('\n');
}

/**
 * @param {Shares | undefined} a
 * @param {Shares} b
 * @returns {Shares}
 */
function sum(a, b) {
  if (!a) return b;
  /** @param {'lines' | 'branches'} what */
  const of = (what) => ({ ran: a[what].ran + b[what].ran, all: a[what].all + b[what].all });
  return { lines: of('lines'), branches: of('branches') };
}

/** @param {Share} share */
function part({ ran, all }) {
  return all === 0 ? 1 : ran / all;
}

/** @param {[string, Shares]} named */
function row([name, { lines, branches }]) {
  /** @param {Share} share */
  const of = (share) =>
    `${`${share.ran}/${share.all}`.padStart(12)} ${(100 * part(share)).toFixed(1).padStart(5)} %`;
  return `  ${name.padEnd(58)} lines${of(lines)}   branches${of(branches)}`;
}
