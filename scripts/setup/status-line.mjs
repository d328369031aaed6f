/**
 * One line on standard error that says how far something is, where that is a terminal. It goes back to the start of its
 * own line and clears to the end of it, and that is all: no mode of the terminal is changed (the cursor stays visible,
 * long lines go on wrapping) and no position is remembered, so nothing has to be put back, whatever ends the process.
 */
export function statusLine(stream = process.stderr) {
  const shows = isTerminal(stream);
  let shown = '';
  return {
    /** Puts `text` in place of what the line said, cut so that it never reaches the last column. */
    show(text) {
      if (!shows) return;
      const line = Array.from(text)
        .slice(0, (stream.columns || 80) - 1)
        .join('');
      if (line === shown) return;
      stream.write(`\r${line}\x1b[K`);
      shown = line;
    },
    /** Takes the line away. Before anything else is printed. */
    clear() {
      if (shown === '') return;
      stream.write('\r\x1b[K');
      shown = '';
    },
  };
}

/** True where a line that changes makes sense. */
export function isTerminal(stream = process.stderr) {
  return stream.isTTY === true && process.env.TERM !== 'dumb' && !process.env.CI;
}

/** `██████░░░░` */
export function bar(done, total, width = 24) {
  const share = total > 0 ? Math.min(1, Math.max(0, done / total)) : 1;
  const full = Math.floor(share * width);
  return '█'.repeat(full) + '░'.repeat(width - full);
}
