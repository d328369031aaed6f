/** Curvature matrices of a loss: their products with a vector, and the solution of a damped system. */
import type { FastifyInstance } from 'fastify';
import { cg, empiricalFisher, gaussNewton, hessian, type LossProblem } from 'torch-curvature';
import { fromJson, type JsonTensor, toJson, vector } from '../arrays.ts';
import type { Registry, Served } from '../registry.ts';
import { operatorBody, operatorParams, solveBody } from '../schemas.ts';
import { served } from './model.ts';

const OPERATORS = { 'gauss-newton': gaussNewton, hessian, 'empirical-fisher': empiricalFisher };

interface Problem {
  x: JsonTensor;
  target: JsonTensor;
  loss: LossProblem['loss'];
}
interface Params {
  name: string;
  operator: keyof typeof OPERATORS;
}
interface Product {
  Params: Params;
  Body: Problem & { v: number[] };
}
interface System {
  Params: Params;
  Body: Problem & { b: number[]; damping: number; tolerance?: number; maxIterations?: number };
}

export function addOperators(app: FastifyInstance, registry: Registry) {
  const path = '/models/:name/operators/:operator';

  const product = { schema: { params: operatorParams, body: operatorBody } };
  app.post<Product>(`${path}/matvec`, product, async (request, reply) => {
    const { body } = request;
    const signal = reply.canceled;
    const found = served(registry, request);
    using operator = await OPERATORS[request.params.operator](lossProblem(found, body), {
      signal,
      products: 1,
    });
    return { result: toJson(await operator.matvec(vector(body.v, found.params), { signal })) };
  });

  const system = { schema: { params: operatorParams, body: solveBody } };
  app.post<System>(`${path}/solve`, system, async (request, reply) => {
    const { body } = request;
    const signal = reply.canceled;
    const { b, damping, tolerance = 1e-4, maxIterations = 100 } = body;
    const found = served(registry, request);
    using operator = await OPERATORS[request.params.operator](lossProblem(found, body), { signal });
    using damped = operator.damp(damping);
    const { x, ...end } = await cg(damped, vector(b, found.params), { tolerance, maxIterations, signal });
    return { result: toJson(x), ...end };
  });
}

function lossProblem({ model, params }: Served, { x, target, loss }: Problem): LossProblem {
  return { model, params, x: fromJson(x, params), target: fromJson(target, params), loss };
}
