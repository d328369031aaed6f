import { readFileSync, writeFileSync } from 'node:fs';

/** How much memory something took at its highest point. */
export interface PeakMemory {
  bytes: number;
  /** The peak before was not passed, so all that is known is that it took no more than `bytes`. */
  isUpperBound: boolean;
}

/**
 * Runs `body` and tells how far above the memory resident before it went the peak of this process. Linux starts a new
 * peak on demand, so that one of loading libtorch does not hide a smaller product; where it does not, what stayed below
 * the earlier peak is known up to that peak only.
 */
export function withPeakMemory<T>(body: () => T): { memory: PeakMemory; outcome: T } {
  startNewPeak();
  const before = residentMemory();
  const outcome = body();
  return { memory: peakOver(before, residentMemory().peak), outcome };
}

interface Resident {
  now: number;
  peak: number;
}

const PAGE = 4096;

/** @param peak of the process at the end, in bytes */
export function peakOver(before: Resident, peak: number): PeakMemory {
  if (peak > before.peak) return { bytes: peak - before.now, isUpperBound: false };
  return { bytes: Math.max(before.peak - before.now, PAGE), isUpperBound: true };
}

function startNewPeak(): void {
  if (process.platform !== 'linux') return;
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not in every container.
  }
}

/**
 * Resident memory of this process and its peak so far, in bytes. On Linux from `VmHWM`: `getrusage` would give a child
 * the peak of the parent it was forked from, hiding anything smaller.
 */
function residentMemory(): Resident {
  if (process.platform === 'linux') {
    const status = readFileSync('/proc/self/status', 'utf8');
    const [now, peak] = ['VmRSS', 'VmHWM'].map((name) =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]),
    );
    if (now! > 0 && peak! > 0) return { now: now! * 1024, peak: peak! * 1024 };
  }
  return { now: process.memoryUsage.rss(), peak: process.resourceUsage().maxRSS * 1024 };
}

/** What a dense product holds at least: J of `[batch · outputs, P]` and F of `[P, P]`. */
export function denseBytes(
  spec: { batch: number; outputs: number; dtype: string },
  parameters: number,
): number {
  const itemBytes = spec.dtype === 'float64' ? 8 : 4;
  return (spec.batch * spec.outputs * parameters + parameters ** 2) * itemBytes;
}
