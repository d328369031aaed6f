import { Presets, SingleBar } from 'cli-progress';
import { onTerminal, say } from './process.mjs';

/**
 * A progress bar on a terminal, a plain line elsewhere.
 * @param {string} title
 * @param {number} totalBytes
 * @returns {{ advance: (bytes: number) => void, stop: () => void }}
 */
export function progress(title, totalBytes) {
  const megabytes = Math.round(totalBytes / 1e6);
  if (!onTerminal()) {
    say(`${title} (${megabytes} MB) …`);
    return { advance() {}, stop() {} };
  }
  const bar = new SingleBar(
    {
      format: `${title} [{bar}] {percentage} % of ${megabytes} MB`,
      stream: process.stderr,
      hideCursor: true,
    },
    Presets.shades_classic,
  );
  bar.start(totalBytes, 0);
  return { advance: (bytes) => bar.increment(bytes), stop: () => bar.stop() };
}
