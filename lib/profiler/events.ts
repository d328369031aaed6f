/** The single calls of a profile. */
import type { RawProfileEvent } from '../addon/profiles.ts';

/** One call of an operator, a stage, a region or a kernel. Times in microseconds, memory in bytes. */
export interface ProfileEvent {
  /** Its place in the list. */
  readonly id: number;
  /** Of the operator, `aten::mm`, the stage, `torch_curvature::gram`, or the region. */
  readonly name: string;
  /** Since the profile began. */
  readonly startTime: number;
  readonly endTime: number;
  /** libtorch's number of the thread. */
  readonly thread: number;
  /** `id` of the call that made this one, on the same thread. */
  readonly parent?: number;
  readonly selfCpuTimeTotal: number;
  readonly cpuTimeTotal: number;
  readonly selfDeviceTimeTotal: number;
  readonly deviceTimeTotal: number;
  readonly cpuMemoryUsage: number;
  readonly selfCpuMemoryUsage: number;
  readonly deviceMemoryUsage: number;
  readonly selfDeviceMemoryUsage: number;
  /** By the chain rule as it is written down, a multiply-add being two; 0 where none are counted. */
  readonly flops: number;
  /** What the engine really executed, where it counts. */
  readonly executedFlops?: number;
  /** When these were recorded. */
  readonly inputShapes?: readonly (readonly number[])[];
  readonly deviceType: 'cpu' | 'cuda';
  /** A region of `recordFunction` or a step. */
  readonly isUserAnnotation: boolean;
  /** Begins and ends in different turns of the event loop. */
  readonly isAsync: boolean;
  /**
   * On a thread that helped the one of the product meanwhile. Rows and totals count the operations and the memory of such
   * calls, but not their time, which has passed on the product's own thread.
   */
  readonly isHelper: boolean;
  /** P, of a product. */
  readonly parameterCount?: number;
  /** Rows of a product's data. */
  readonly batch?: number;
  /** Which engine ran a product. */
  readonly engine?: 'fused' | 'autograd';
}

export function toEvents(raw: readonly RawProfileEvent[]): ProfileEvent[] {
  return raw.map(({ parent, executedFlops, onDevice, annotation, async, helper, ...rest }, id) => ({
    id,
    ...rest,
    ...(parent < 0 ? {} : { parent }),
    ...(executedFlops > 0 ? { executedFlops } : {}),
    deviceType: onDevice ? 'cuda' : 'cpu',
    isUserAnnotation: annotation,
    isAsync: async,
    isHelper: helper,
  }));
}
