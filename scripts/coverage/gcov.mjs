/** Reads what gcov says of a build, as counts by source. */
import { execFileSync } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';

/** Of one object, in bytes. */
const MOST_OUTPUT = 2 ** 30;

/**
 * @typedef {object} Counts of one source
 * @property {Map<number, number>} lines how often each ran
 * @property {Map<string, number>} branches how often each was taken; those into the handling of exceptions are left out
 */

/**
 * Counters go on from where earlier runs left them.
 * @param {string} folder CMake's
 */
export function forgetRuns(folder) {
  for (const file of files(folder, '.gcda')) rmSync(file);
}

/**
 * @param {string} root whose sources are wanted
 * @param {string} folder CMake's
 * @returns {Map<string, Counts>} by path in root, in order
 */
export function readCounts(root, folder) {
  /** @type {Map<string, Counts>} */
  const sources = new Map();
  // Also of objects that never ran: their counters are zero.
  for (const notes of files(folder, '.gcno')) {
    // -s and -r leave out headers that lie elsewhere: libtorch's.
    const args = [
      '--json-format',
      '--stdout',
      '--branch-probabilities',
      '-s',
      root,
      '-r',
      '-o',
      dirname(notes),
      notes,
    ];
    const json = execFileSync('gcov', args, {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: MOST_OUTPUT,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    for (const document of json.split('\n').filter(Boolean))
      for (const { file, lines } of JSON.parse(document).files) add(sources, relative(root, file), lines);
  }
  return new Map([...sources].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Adds the counts of one object: headers are part of many, and templates are several functions on the same lines.
 * @param {Map<string, Counts>} sources
 * @param {string} file
 * @param {{ line_number: number, count: number, function_name?: string, branches: { count: number, throw: boolean }[] }[]} lines
 */
function add(sources, file, lines) {
  const counts = sources.get(file) ?? { lines: new Map(), branches: new Map() };
  sources.set(file, counts);
  for (const { line_number: line, count, function_name: name = '', branches } of lines) {
    counts.lines.set(line, (counts.lines.get(line) ?? 0) + count);
    branches.forEach((branch, i) => {
      if (branch.throw) return;
      const key = `${line} ${name} ${i}`;
      counts.branches.set(key, (counts.branches.get(key) ?? 0) + branch.count);
    });
  }
}

/**
 * @param {string} folder
 * @param {string} ending
 */
function files(folder, ending) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .sort()
    .map((name) => join(folder, name));
}
