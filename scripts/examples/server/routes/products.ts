/** Products with the Jacobian J of a model's outputs by its parameters. */
import type { FastifyInstance } from 'fastify';
import { linearize, matvecDense, matvecOnTheFly } from 'torch-curvature';
import { fromJson, type JsonTensor, toJson, vector } from '../arrays.ts';
import type { Registry } from '../registry.ts';
import { cotangentBody, productBody, tangentBody } from '../schemas.ts';
import { type Named, served } from './model.ts';

interface Tangent extends Named {
  Body: { x: JsonTensor; v: number[]; dense?: boolean };
}
interface Cotangent extends Named {
  Body: { x: JsonTensor; u: JsonTensor };
}

export function addProducts(app: FastifyInstance, registry: Registry) {
  app.post<Tangent>('/models/:name/matvec', { schema: { body: productBody } }, async (request, reply) => {
    const { model, params } = served(registry, request);
    const { x, v, dense = false } = request.body;
    const problem = { model, params, x: fromJson(x, params) };
    const product = dense ? matvecDense : matvecOnTheFly;
    return { result: toJson(await product(problem, vector(v, params), { signal: reply.canceled })) };
  });

  app.post<Tangent>('/models/:name/jvp', { schema: { body: tangentBody } }, async (request, reply) => {
    const { model, params } = served(registry, request);
    const signal = reply.canceled;
    const { x, v } = request.body;
    using linearization = await linearize({ model, params, x: fromJson(x, params) }, { signal, products: 1 });
    const { data, shape } = await linearization.jvp(vector(v, params), { signal });
    return { result: { data: toJson(data), shape } };
  });

  app.post<Cotangent>('/models/:name/vjp', { schema: { body: cotangentBody } }, async (request, reply) => {
    const { model, params } = served(registry, request);
    const signal = reply.canceled;
    const { x, u } = request.body;
    using linearization = await linearize({ model, params, x: fromJson(x, params) }, { signal, products: 1 });
    return { result: toJson(await linearization.vjp(fromJson(u, params), { signal })) };
  });
}
