/** Failures as HTTP: the status says whose fault it is, `code` what it was. */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode } from 'torch-curvature';

/** A failure that the server itself found. */
export class Refusal extends Error {
  constructor(
    readonly statusCode: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** What the package refuses and a caller can mend. Any other code of its is the server's fault. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_INVALID_ARGUMENT: 400,
  ERR_SHAPE_MISMATCH: 400,
  ERR_DTYPE_MISMATCH: 400,
  ERR_UNSUPPORTED_OP: 422,
  ERR_BUSY: 503,
  ERR_OUT_OF_MEMORY: 507,
};

/** Seconds after which a client may try again; what waits now will have run by then. */
const RETRY_AFTER = 1;

export function statusOf({ code, statusCode }: Partial<FastifyError>): number {
  return STATUS[code as ErrorCode] ?? statusCode ?? 500;
}

/** Messages of the server's own faults are for its log, not for its clients. */
export function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply) {
  const status = statusOf(error);
  const { code = 'ERR_INTERNAL', message } = error;
  if (status === 500) request.log.error(error);
  if (status === 503) reply.header('retry-after', RETRY_AFTER);
  const body = status === 500 ? { code: 'ERR_INTERNAL', message: 'internal error' } : { code, message };
  return reply.code(status).send({ error: body });
}
