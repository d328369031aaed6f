/** Rows of a profile, and PyTorch's names for the columns to sort them by. */

import type { RawProfileRow } from '../addon/profiles.ts';
import { describe } from '../arrays.ts';
import { outOfRange } from '../errors.ts';

/** All calls of one operator or region. Times in microseconds, memory in bytes; `self…` leaves out nested calls. */
export interface ProfileRow {
  /** Of the operator, `aten::mm`, or of the region. */
  readonly name: string;
  /** How often it was called. */
  readonly count: number;
  readonly selfCpuTimeTotal: number;
  readonly cpuTimeTotal: number;
  readonly selfDeviceTimeTotal: number;
  readonly deviceTimeTotal: number;
  readonly cpuMemoryUsage: number;
  readonly selfCpuMemoryUsage: number;
  readonly deviceMemoryUsage: number;
  readonly selfDeviceMemoryUsage: number;
  /** Floating-point operations, where counted; 0 elsewhere. */
  readonly flops: number;
  /** Shapes of the inputs, when these were recorded; rows are then separate for each. */
  readonly inputShapes?: readonly (readonly number[])[];
}

/** The rows without regard to shapes: those of one name and kind are added up. */
export function merged(rows: readonly RawProfileRow[]): RawProfileRow[] {
  const sums = new Map<string, RawProfileRow>();
  for (const { inputShapes: _, ...row } of rows) {
    const key = `${row.onDevice} ${row.annotation} ${row.name}`;
    const sum = sums.get(key);
    if (sum === undefined) {
      sums.set(key, { ...row });
      continue;
    }
    for (const name of SUMS) sum[name] += row[name];
  }
  return [...sums.values()];
}

const SUMS = [
  'count',
  'selfCpuTimeTotal',
  'cpuTimeTotal',
  'selfDeviceTimeTotal',
  'deviceTimeTotal',
  'cpuMemoryUsage',
  'selfCpuMemoryUsage',
  'deviceMemoryUsage',
  'selfDeviceMemoryUsage',
  'flops',
] as const;

type Measure = (row: RawProfileRow | ProfileRow) => number;

/** A new key is a row here. Each works with `cuda` in place of `device` too, as in PyTorch. */
const MEASURES: Readonly<Record<string, Measure>> = {
  cpu_time: (row) => row.cpuTimeTotal / row.count,
  cpu_time_total: (row) => row.cpuTimeTotal,
  self_cpu_time_total: (row) => row.selfCpuTimeTotal,
  device_time: (row) => row.deviceTimeTotal / row.count,
  device_time_total: (row) => row.deviceTimeTotal,
  self_device_time_total: (row) => row.selfDeviceTimeTotal,
  cpu_memory_usage: (row) => row.cpuMemoryUsage,
  self_cpu_memory_usage: (row) => row.selfCpuMemoryUsage,
  device_memory_usage: (row) => row.deviceMemoryUsage,
  self_device_memory_usage: (row) => row.selfDeviceMemoryUsage,
  count: (row) => row.count,
  flops: (row) => row.flops,
};

/** What `sortBy` takes. */
export const SORT_KEYS: readonly string[] = Object.keys(MEASURES).flatMap((key) =>
  key.includes('device') ? [key, key.replace('device', 'cuda')] : [key],
);

/** A copy of the rows, largest first; rows that are equal keep their order. */
export function sorted<Row extends RawProfileRow | ProfileRow>(rows: readonly Row[], key: string): Row[] {
  if (!SORT_KEYS.includes(key)) {
    throw outOfRange(`sortBy should be one of ${SORT_KEYS.join(', ')}, got ${describe(key)}`);
  }
  const measure = MEASURES[key.replace('cuda', 'device')]!;
  return [...rows].sort((a, b) => measure(b) - measure(a));
}
