/** What operators of the server ask for. */
import type { FastifyInstance } from 'fastify';
import { info } from 'torch-curvature';
import type { Metrics } from '../metrics/metrics.ts';
import type { Registry } from '../registry.ts';

export function addStatus(app: FastifyInstance, registry: Registry, metrics: Metrics) {
  app.get('/health', async () => {
    const { libtorchVersion, running, queued } = info();
    return { status: 'ok', models: [...registry.keys()], libtorchVersion, running, queued };
  });

  app.get('/metrics', async (_, reply) => {
    reply.type('text/plain; version=0.0.4');
    return metrics.text();
  });
}
