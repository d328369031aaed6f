/** Ends processes that hang. */
import { readFileSync, statSync } from 'node:fs';

/** How many times as long a step may take by the clock as by the processor: the machine may be busy with other things. */
const PATIENCE = 12;

/**
 * Kills a process whose present step takes too long.
 *
 * @param {import('node:child_process').ChildProcess} child
 * @param {string} file that the process writes to at the beginning of each step
 * @param {number} most milliseconds of the processor's time that a step may take
 * @returns {() => boolean} ends the watch, and says whether the process was killed
 */
export function watch(child, file, most) {
  let hangs = false;
  let begun = { step: 0, used: 0 };
  const timer = setInterval(() => {
    const step = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now();
    const used = processorTime(child.pid);
    if (step !== begun.step) begun = { step, used };
    if (used - begun.used < most && Date.now() - step < PATIENCE * most) return;
    hangs = true;
    child.kill('SIGKILL');
  }, 500);
  return () => {
    clearInterval(timer);
    return hangs;
  };
}

/**
 * Of all threads of a process, in milliseconds; 0 where the system does not say.
 * @param {number | undefined} pid
 */
function processorTime(pid) {
  try {
    // After the name in brackets come the state, then numbers; user and system time are the 14th and 15th of all.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return 0;
  }
}
