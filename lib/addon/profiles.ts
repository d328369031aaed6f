/** A profile as the addon gives it. */

export interface RawProfileRow {
  name: string;
  count: number;
  selfCpuTimeTotal: number;
  cpuTimeTotal: number;
  selfDeviceTimeTotal: number;
  deviceTimeTotal: number;
  cpuMemoryUsage: number;
  selfCpuMemoryUsage: number;
  deviceMemoryUsage: number;
  selfDeviceMemoryUsage: number;
  flops: number;
  inputShapes?: number[][];
  /** True for rows that stand for kernels on the device rather than calls on the CPU. */
  onDevice: boolean;
  /** True for named regions, on the CPU or spanning kernels. */
  annotation: boolean;
}
/** One call; `parent` is the place of the call that made it, or −1. */
export interface RawProfileEvent {
  name: string;
  /** Microseconds since the profile began. */
  startTime: number;
  endTime: number;
  thread: number;
  parent: number;
  cpuTimeTotal: number;
  selfCpuTimeTotal: number;
  deviceTimeTotal: number;
  selfDeviceTimeTotal: number;
  cpuMemoryUsage: number;
  selfCpuMemoryUsage: number;
  deviceMemoryUsage: number;
  selfDeviceMemoryUsage: number;
  flops: number;
  executedFlops: number;
  onDevice: boolean;
  annotation: boolean;
  async: boolean;
  /** On a thread that helped another one, whose time is what counts. */
  helper: boolean;
  parameterCount?: number;
  batch?: number;
  engine?: 'fused' | 'autograd';
  inputShapes?: number[][];
}
export interface RawProfile {
  /** Aggregated by name, and by input shapes when these were recorded. */
  rows: RawProfileRow[];
  selfCpuTimeTotal: number;
  selfDeviceTimeTotal: number;
  peakMemory: number;
  /** Every call, by start. */
  events(): RawProfileEvent[];
  /** Writes a Chrome trace; callable once or more until the profile is collected. */
  save(path: string): void;
}
export interface RawProfilerOptions {
  cpu: boolean;
  cuda: boolean;
  recordShapes: boolean;
  profileMemory: boolean;
  withFlops: boolean;
}
