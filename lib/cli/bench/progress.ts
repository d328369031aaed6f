import { SingleBar } from 'cli-progress';

/** A bar on standard error where that is a terminal; results go to standard output either way. */
export interface Progress {
  /** Says what is being done now. */
  step(task: string): void;
  done(): void;
  /** Prints a result without tearing the bar. */
  note(text: string): void;
  stop(): void;
}

export function startProgress(total: number): Progress {
  const print = (text: string) => process.stdout.write(`${text}\n`);
  if (!process.stderr.isTTY) {
    return { step: () => {}, done: () => {}, note: print, stop: () => {} };
  }
  const bar = new SingleBar({
    format: '{bar} {value}/{total} {task}',
    stream: process.stderr,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    barsize: 24,
    hideCursor: true,
    clearOnComplete: true,
    // Products run on this thread, so a timer could not redraw the bar.
    fps: 1000,
  });
  bar.start(total, 0, { task: '' });
  return {
    step: (task) => bar.update({ task }),
    done: () => bar.increment(),
    note(text) {
      process.stderr.write('\r\x1b[K');
      print(text);
      bar.render();
    },
    stop: () => bar.stop(),
  };
}
