import type { FastifyInstance, FastifyReply } from 'fastify';
import { Refusal } from './errors.ts';

/** Why work stopped when nobody waits for its result any more. */
export const CLIENT_GONE = new Refusal(499, 'ERR_CLIENT_GONE', 'the client went away before its answer');

declare module 'fastify' {
  interface FastifyReply {
    /** Aborted when the client goes away, or its time is over: products and solvers that know it stop. */
    canceled: AbortSignal;
  }
}

/**
 * Gives every reply its signal. It watches the response: the request itself, and fastify's `request.signal` with it, is
 * closed as soon as its body was read.
 * @param timeout milliseconds of a request
 */
export function addCancellation(app: FastifyInstance, timeout: number) {
  app.decorateReply('canceled');
  app.addHook('onRequest', async (_, reply: FastifyReply) => {
    const controller = new AbortController();
    const timer = setTimeout(() => {
      controller.abort(new Refusal(503, 'ERR_TIMEOUT', `the request took longer than ${timeout} ms`));
    }, timeout);
    reply.raw.once('close', () => {
      clearTimeout(timer);
      controller.abort(CLIENT_GONE);
    });
    reply.canceled = controller.signal;
  });
}
