import { tracingChannel } from 'node:diagnostics_channel';
import type { Meter } from '@opentelemetry/api';
import { info } from 'torch-curvature';

/** What messages of the channel hold that is metered here. */
interface Message {
  kind: string;
  engine?: string;
  queueTime?: number;
  runTime?: number;
  flops?: number;
  error?: { code?: string; name?: string };
}

/**
 * Meters all asynchronous operations of torch-curvature in this process from now on, and what the process holds.
 *
 * @returns a function that ends it
 */
export function meterProducts(meter: Meter): () => void {
  const duration = meter.createHistogram('torch_curvature.operation.duration', {
    unit: 's',
    description: 'Time that operations computed',
  });
  const waiting = meter.createHistogram('torch_curvature.operation.queue_time', {
    unit: 's',
    description: 'Time that operations waited for cores',
  });
  const flops = meter.createCounter('torch_curvature.operation.flops', {
    unit: '{flop}',
    description: 'Floating-point operations on the CPU',
  });
  const record = (message: unknown) => {
    const { kind, engine, queueTime = 0, runTime = 0, flops: work = 0, error } = message as Message;
    const attributes = {
      kind,
      ...(engine !== undefined && { engine }),
      ...(error !== undefined && { 'error.type': error.code ?? error.name ?? 'unknown' }),
    };
    duration.record(runTime / 1000, attributes);
    waiting.record(queueTime / 1000, attributes);
    if (work > 0) flops.add(work, attributes);
  };
  const channel = tracingChannel('torch-curvature:product');
  channel.asyncEnd.subscribe(record);

  const operations = meter.createObservableGauge('torch_curvature.operations', { unit: '{operation}' });
  const threads = meter.createObservableGauge('torch_curvature.idle_threads', { unit: '{thread}' });
  const memory = meter.createObservableGauge('torch_curvature.memory', { unit: 'By' });
  const observe = (result: Parameters<Parameters<Meter['addBatchObservableCallback']>[0]>[0]) => {
    const { running, queued, idleThreads, bytesHeld } = info();
    result.observe(operations, running, { state: 'running' });
    result.observe(operations, queued, { state: 'queued' });
    result.observe(threads, idleThreads);
    result.observe(memory, bytesHeld);
  };
  meter.addBatchObservableCallback(observe, [operations, threads, memory]);

  return () => {
    channel.asyncEnd.unsubscribe(record);
    meter.removeBatchObservableCallback(observe, [operations, threads, memory]);
  };
}
