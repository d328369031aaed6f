/** What the server counts: requests, the package's operations, and what both cost the process. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { info } from 'torch-curvature';
import { CLIENT_GONE } from '../cancellation.ts';
import { Counter, gauge, Histogram } from './prometheus.ts';

/** A message of the package's tracing channel, at its end; times in milliseconds. */
interface Operation {
  readonly kind?: string;
  readonly queueTime?: number;
  readonly runTime?: number;
  readonly error?: { readonly code?: unknown };
}

/** Where the package tells of every operation that ended. */
const OPERATION_ENDS = 'tracing:torch-curvature:product:asyncEnd';
/** Milliseconds between looks at the event loop. */
const RESOLUTION = 10;

export class Metrics {
  readonly #requests = new Counter('http_requests_total', 'Requests by route and status.');
  readonly #latency = new Histogram('http_request_duration_seconds', 'From the first byte to the last.');
  readonly #operations = new Counter('curvature_operations_total', 'Operations by kind and outcome.');
  readonly #queued = new Histogram('curvature_queue_seconds', 'Time that operations waited for a thread.');
  readonly #run = new Histogram('curvature_run_seconds', 'Time that operations computed.');
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION });
  readonly #listener = (message: unknown) => this.#operation(message as Operation);

  constructor(app: FastifyInstance) {
    this.#delay.enable();
    subscribe(OPERATION_ENDS, this.#listener);
    app.addHook('onRequest', async (request, reply) => this.#request(request, reply));
    app.addHook('onClose', async () => {
      unsubscribe(OPERATION_ENDS, this.#listener);
      this.#delay.disable();
    });
  }

  /** Everything, for Prometheus. The delay of the event loop is that since the last call. */
  text(): string {
    const { running, queued, bytesHeld, idleThreads } = info();
    const delay = (percentile: number) =>
      Math.max(0, this.#delay.percentile(percentile) / 1e9 - RESOLUTION / 1e3);
    const parts = [
      this.#requests.text(),
      this.#latency.text(),
      this.#operations.text(),
      this.#queued.text(),
      this.#run.text(),
      gauge('curvature_running', 'Operations that compute now.', running),
      gauge('curvature_queued', 'Operations that wait for a thread.', queued),
      gauge('curvature_idle_threads', 'Threads that wait for operations.', idleThreads),
      gauge('curvature_held_bytes', 'Bytes of tensors.', bytesHeld),
      gauge('process_resident_memory_bytes', 'Bytes of the process.', process.memoryUsage.rss()),
      gauge('nodejs_eventloop_delay_p50_seconds', 'Median delay of the event loop.', delay(50)),
      gauge('nodejs_eventloop_delay_p99_seconds', '99th percentile of it.', delay(99)),
    ];
    this.#delay.reset();
    return parts.join('');
  }

  #request(request: FastifyRequest, reply: FastifyReply) {
    const start = performance.now();
    reply.raw.once('close', () => {
      const status = reply.raw.writableEnded ? reply.statusCode : CLIENT_GONE.statusCode;
      // Paths that do not exist are whatever clients make up: one label for all.
      const route = request.routeOptions.url ?? 'none';
      this.#requests.add({ route, status });
      this.#latency.observe({ route }, (performance.now() - start) / 1e3);
    });
  }

  #operation({ kind = 'unknown', queueTime, runTime, error }: Operation) {
    const outcome = error === undefined ? 'ok' : typeof error.code === 'string' ? error.code : 'aborted';
    this.#operations.add({ kind, outcome });
    if (queueTime !== undefined) this.#queued.observe({ kind }, queueTime / 1e3);
    if (runTime !== undefined) this.#run.observe({ kind }, runTime / 1e3);
  }
}
