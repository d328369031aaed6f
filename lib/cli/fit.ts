/**
 * What is printed, laid out for the width of a terminal: a figure cut in two by the edge is easily misread. Files and
 * pipes get the full width.
 */
import { formatPairs, formatTable } from './format.ts';

/** Columns of standard output; without bound where that is no terminal. */
export function outputWidth(stream: { isTTY?: boolean; columns?: number } = process.stdout): number {
  return stream.isTTY === true ? stream.columns || 80 : Number.POSITIVE_INFINITY;
}

/** How many columns a text takes. */
export const textWidth = (text: string) => Math.max(...text.split('\n').map((line) => [...line].length));

/** Breaks the lines of a text between words; a longer word keeps a line of its own, and is whole in it. */
export function wrapWords(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => (textWidth(line) <= width ? line : wrapLine(line, width)))
    .join('\n');
}

function wrapLine(line: string, width: number): string {
  const indent = /^ */.exec(line)![0];
  const lines: string[] = [];
  for (const word of line.trim().split(/ +/)) {
    const longer = lines.length === 0 ? undefined : `${lines.at(-1)} ${word}`;
    if (longer !== undefined && textWidth(longer) <= width) lines[lines.length - 1] = longer;
    else lines.push(`${indent}${word}`);
  }
  return lines.join('\n');
}

/** A table as `formatTable` draws it, or where that is too wide each row as a list of its columns. */
export function fitTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  width: number,
): string {
  const table = formatTable(head, rows);
  if (textWidth(table) <= width) return table;
  return rows.map((row) => stackedRow(head, row, width)).join('\n');
}

/** Pairs as `formatPairs` draws them, or where that is too wide as lines, which the terminal wraps: a path stays one. */
export function fitPairs(pairs: readonly (readonly [string, string])[], width: number): string {
  const table = formatPairs(pairs);
  if (textWidth(table) <= width) return table;
  return pairs.map(([name, value]) => `${name}: ${value}`).join('\n');
}

/**
 * A row as a list: its first cell (after the head's, if there is one), then each other one that is not empty after its
 * head.
 */
function stackedRow(head: readonly string[], row: readonly string[], width: number): string {
  const [title = '', ...names] = head;
  const [first = '', ...cells] = row;
  const longest = Math.max(...names.map((name) => name.length));
  const lines = cells.flatMap((cell, index) => {
    if (cell === '') return [];
    const line = `  ${names[index]!.padEnd(longest)}  ${cell}`;
    if (textWidth(line) <= width) return [line];
    return [`  ${names[index]}`, wrapWords(`    ${cell}`, width)];
  });
  return [title === '' ? first : `${title} = ${first}`, ...lines].join('\n');
}

/** Fewer columns beside the first are a list in disguise. */
const FEWEST_COLUMNS = 3;

/**
 * The profiler's table, whose columns are ruled by dashes, in parts one below the other: each has the first column and
 * as many others as fit. Where these are too few, each row becomes a list. Lines around the table are kept.
 */
export function fitProfile(text: string, width: number): string {
  const lines = text.split('\n').map((line) => line.trimEnd());
  const rules = lines.flatMap((line, index) => (/^-+( +-+)*$/.test(line) ? [index] : []));
  const [top, , last] = rules;
  if (last === undefined || textWidth(text) <= width) return text;
  const spans = Array.from(lines[top!]!.matchAll(/-+/g), (match) => [match.index, match[0].length] as const);
  const cells = (line: string) => spans.map(([start, length]) => line.slice(start, start + length));
  const parts = columnGroups(
    spans.map(([, length]) => length),
    width,
  );
  const table = lines.slice(top!, last + 1);
  const folded =
    parts === undefined
      ? stackedProfile(table.filter((line) => !/^-/.test(line)).map(cells), width)
      : parts.map((part) =>
          table
            .map((line) => part.map((column) => cells(line)[column]!.padEnd(spans[column]![1])).join('  '))
            .map((line) => line.trimEnd())
            .join('\n'),
        );
  return [...lines.slice(0, top), folded.join('\n\n'), ...lines.slice(last + 1)].join('\n');
}

/** Which columns stand together, the first with all; nothing where too few would. */
function columnGroups(widths: readonly number[], width: number): number[][] | undefined {
  const groups: number[][] = [];
  let left = 0;
  for (let column = 1; column < widths.length; column++) {
    if (left < widths[column]! + 2 || groups.length === 0) {
      groups.push([0]);
      left = width - widths[0]!;
    }
    if (left < widths[column]! + 2) return undefined;
    groups.at(-1)!.push(column);
    left -= widths[column]! + 2;
  }
  const fewest = Math.min(...groups.slice(0, -1).map((group) => group.length - 1));
  return fewest < FEWEST_COLUMNS ? undefined : groups;
}

function stackedProfile(rows: readonly (readonly string[])[], width: number): string[] {
  const trimmed = rows.map((row) => row.map((cell) => cell.trim()));
  const [head = [], ...body] = trimmed;
  return body.map((row) => {
    const pairs = row.slice(1).map((cell, index) => `${head[index + 1]}: ${cell}`);
    return [row[0]!, ...packed(pairs, width)].join('\n');
  });
}

/** Pairs side by side, as many as fit in a line. */
function packed(pairs: readonly string[], width: number): string[] {
  const cell = Math.max(...pairs.map((pair) => pair.length)) + 2;
  const perLine = Math.max(1, Math.floor((width - 2) / cell));
  const lines: string[] = [];
  for (let i = 0; i < pairs.length; i += perLine) {
    const line = pairs.slice(i, i + perLine).map((pair) => pair.padEnd(cell));
    lines.push(wrapWords(`  ${line.join('')}`.trimEnd(), width));
  }
  return lines;
}
