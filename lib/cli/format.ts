import Table from 'cli-table3';

/** `12.3 MB`, in powers of 1000 as memory is sold, three significant digits. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : significant(value)} ${units[unit]}`;
}

/** As `bytes`, or `< 4.1 kB` where it is a bound. */
export function formatPeak(product: { peakBytes: number; peakBytesIsUpperBound: boolean }): string {
  return `${product.peakBytesIsUpperBound ? '< ' : ''}${formatBytes(product.peakBytes)}`;
}

/** Milliseconds, or seconds where these would be long. */
export function formatMs(ms: number): string {
  return ms >= 10_000 ? `${significant(ms / 1000)} s` : `${significant(ms)} ms`;
}

export function formatRatio(ratio: number): string {
  return `${significant(ratio)}×`;
}

export function significant(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Numbers of a vector as PyTorch prints them: four decimals. */
export function formatNumbers(values: readonly number[]): string {
  return values.map((value) => value.toFixed(4)).join(', ');
}

/** A table for terminals and files alike: lines, but no colors. Columns after the first are numbers. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return draw(rows, {
    head: [...head],
    colAligns: head.map((_, column) => (column === 0 ? 'left' : 'right')),
  });
}

/** Names and their values, one pair a line. */
export function formatPairs(pairs: readonly (readonly [string, string])[]): string {
  return draw(pairs, {});
}

function draw(rows: readonly (readonly string[])[], options: Table.TableConstructorOptions): string {
  const table = new Table({ ...options, style: { head: [], border: [], compact: true } });
  for (const row of rows) table.push([...row]);
  return table.toString();
}
