import { bar, statusLine } from '../../../scripts/setup/status-line.mjs';

/** A bar on standard error where that is a terminal; results go to standard output either way. */
export interface Progress {
  /** Says what is being done now. */
  step(task: string): void;
  done(): void;
  /** Prints a result, in the place of the bar. */
  note(text: string): void;
  stop(): void;
}

export function startProgress(total: number): Progress {
  const line = statusLine();
  let count = 0;
  return {
    step: (task) => line.show(`${bar(count, total)} ${count}/${total} ${task}`),
    done: () => {
      count++;
    },
    note(text) {
      line.clear();
      process.stdout.write(`${text}\n`);
    },
    stop: () => line.clear(),
  };
}
