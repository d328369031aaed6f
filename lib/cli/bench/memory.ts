import { readFileSync } from 'node:fs';

/**
 * Peak resident memory of this process so far, in bytes. On Linux from `VmHWM`: `getrusage` would give a child the peak
 * of the parent it was forked from, hiding anything smaller.
 */
export function peakResidentBytes(): number {
  if (process.platform === 'linux') {
    const match = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (match !== null) return Number(match[1]) * 1024;
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** What a dense product holds at least: J of `[batch · outputs, P]` and F of `[P, P]`. */
export function denseBytes(
  spec: { batch: number; outputs: number; dtype: string },
  parameters: number,
): number {
  const itemBytes = spec.dtype === 'float64' ? 8 : 4;
  return (spec.batch * spec.outputs * parameters + parameters ** 2) * itemBytes;
}
