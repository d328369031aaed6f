import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { SingleBar } from 'cli-progress';

/** Options with their defaults, all strings; the empty one means "none". */
export function parseOptions<Names extends string>(defaults: Record<Names, string>): Record<Names, string> {
  const options = Object.fromEntries(
    Object.entries<string>(defaults).map(([name, value]) => [
      name,
      { type: 'string' as const, default: value },
    ]),
  );
  return parseArgs({ options }).values as Record<Names, string>;
}

/** A progress bar on the terminal; nothing elsewhere. */
export function startBar(title: string, total: number): SingleBar {
  const bar = new SingleBar({
    format: `${title.padEnd(16)} {bar} {percentage} %  {loss}`,
    stream: process.stderr,
    barsize: 30,
    hideCursor: true,
    noTTYOutput: false,
  });
  bar.start(total, 0, { loss: '' });
  return bar;
}

export async function save(file: string, content: string): Promise<void> {
  if (file === '') return;
  await writeFile(file, content);
  console.log(`Written: ${file}`);
}
