import { say } from './process.mjs';
import { bar, isTerminal, statusLine } from './status-line.mjs';

/**
 * A progress bar on a terminal, a plain line elsewhere.
 * @param {string} title
 * @param {number} totalBytes
 * @returns {{ advance: (bytes: number) => void, stop: () => void }}
 */
export function progress(title, totalBytes) {
  const megabytes = Math.round(totalBytes / 1e6);
  if (!isTerminal()) {
    say(`${title} (${megabytes} MB) …`);
    return { advance() {}, stop() {} };
  }
  const line = statusLine();
  let done = 0;
  const show = () => {
    const percentage = totalBytes > 0 ? Math.floor((100 * done) / totalBytes) : 100;
    line.show(`${bar(done, totalBytes)} ${percentage} % of ${megabytes} MB: ${title}`);
  };
  show();
  return {
    advance(bytes) {
      done += bytes;
      show();
    },
    stop() {
      line.clear();
      say(`${title} (${megabytes} MB)`);
    },
  };
}
