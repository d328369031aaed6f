import fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify';
import { addCancellation } from './cancellation.ts';
import { answerError, Refusal } from './errors.ts';
import { Metrics } from './metrics/metrics.ts';
import type { Registry } from './registry.ts';
import { addOperators } from './routes/operators.ts';
import { addProducts } from './routes/products.ts';
import { addStatus } from './routes/status.ts';

export interface AppOptions {
  /** Bytes of a body. */
  readonly bodyLimit: number;
  /** Milliseconds of a request. */
  readonly requestTimeout: number;
  readonly logger?: FastifyServerOptions['logger'];
}

/** The server, which does not listen yet. */
export function createApp(
  registry: Registry,
  { bodyLimit, requestTimeout, logger }: AppOptions,
): FastifyInstance {
  const app = fastify({
    bodyLimit,
    // A body that takes longer than that to arrive is not waited for.
    requestTimeout,
    logger: logger ?? false,
    // "1" is no number, null is no zero, and what is not known is not dropped in silence.
    ajv: { customOptions: { coerceTypes: false, removeAdditional: false } },
  });
  app.setErrorHandler(answerError);
  app.setNotFoundHandler(() => {
    throw new Refusal(404, 'ERR_NOT_FOUND', 'there is nothing here');
  });
  addCancellation(app, requestTimeout);
  addStatus(app, registry, new Metrics(app));
  addProducts(app, registry);
  addOperators(app, registry);
  return app;
}
