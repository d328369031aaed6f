import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { bar, statusLine } from '../../setup/status-line.mjs';

/** Options with their defaults, all strings; the empty one means "none". Wrong usage ends the process. */
export function parseOptions<Names extends string>(defaults: Record<Names, string>): Record<Names, string> {
  const options = Object.fromEntries(
    Object.entries<string>(defaults).map(([name, value]) => [
      name,
      { type: 'string' as const, default: value },
    ]),
  );
  try {
    return parseArgs({ options }).values as Record<Names, string>;
  } catch (error) {
    return wrongUsage((error as Error).message);
  }
}

/** A whole number of at least `least`. */
export function wholeNumber(text: string, name: string, least = 1): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= least) return value;
  return wrongUsage(`--${name} should be a whole number of at least ${least}, got ${text}`);
}

function wrongUsage(message: string): never {
  console.error(message);
  process.exit(2);
}

export interface Bar {
  update(value: number, note?: string): void;
  stop(): void;
}

/** A progress bar on the terminal; nothing elsewhere. */
export function startBar(title: string, total: number, note = ''): Bar {
  const line = statusLine();
  const update = (value: number, words = '') => {
    const percentage = Math.min(100, Math.floor((100 * value) / total));
    line.show(`${title.padEnd(16)} ${bar(value, total, 30)} ${percentage} %  ${words}`);
  };
  update(0, note);
  return { update, stop: () => line.clear() };
}

export async function save(file: string, content: string): Promise<void> {
  if (file === '') return;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  console.log(`Written: ${file}`);
}
