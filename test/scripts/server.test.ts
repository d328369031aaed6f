/** The example server: right answers, refusals as HTTP, work that stops with its client. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import { configure, info, matvecDense } from 'torch-curvature';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { createApp } from '../../scripts/examples/server/app.ts';
import { loadRegistry, type Served } from '../../scripts/examples/server/registry.ts';
import { readSettings } from '../../scripts/examples/server/settings.ts';
import { relativeError, vector } from '../support/models.ts';

const OPTIONS = { bodyLimit: 2 ** 20, requestTimeout: 60_000 };
const NO_LIMITS = { concurrency: Infinity, maxQueue: Infinity, memoryLimit: Infinity };
const MATVEC = '/models/mlp/matvec';
const SOLVE = '/models/mlp/operators/gauss-newton/solve';

let app: FastifyInstance;
let served: Served;
let v: number[];
beforeAll(async () => {
  const registry = await loadRegistry(readSettings({}).MODELS);
  served = registry.get('mlp')!;
  v = [...vector(served.params.length)];
  app = createApp(registry, OPTIONS);
  await app.listen({ host: '127.0.0.1', port: 0 });
});
afterEach(() => {
  configure(NO_LIMITS);
});
afterAll(() => app.close());

const inputs = (rows: number) => ({ data: [...vector(4 * rows, 2)], shape: [rows, 4] });
const post = (url: string, payload: object) => app.inject({ method: 'POST', url, payload });

/** A system that takes seconds, on a fast machine too: it is not solved before its client goes. */
const long = () => {
  const rows = 16384;
  const short = (data: ArrayLike<number>) => Array.from(data, (each) => Number(each.toFixed(2)));
  const x = { data: short(vector(4 * rows, 2)), shape: [rows, 4] };
  const target = { data: short(vector(rows, 3)), shape: [rows, 1] };
  return {
    ...{ x, target, loss: 'mse', b: v },
    ...{ damping: 1e-9, tolerance: 0, maxIterations: 1000 },
  };
};

it('answers products as the package computes them, one way or the other', async () => {
  const x = inputs(16);
  const problem = { ...served, x: { data: Float32Array.from(x.data), shape: x.shape } };
  const expected = await matvecDense(problem, Float32Array.from(v));
  for (const dense of [false, true]) {
    const answer = await post(MATVEC, { x, v, dense });
    expect(answer.statusCode).toBe(200);
    expect(relativeError(answer.json().result, expected)).toBeLessThan(1e-5);
  }
});

it('⟨u, J v⟩ = ⟨Jᵀu, v⟩', async () => {
  const x = inputs(16);
  const u = { data: [...vector(16, 5)], shape: [16, 1] };
  const jv = (await post('/models/mlp/jvp', { x, v })).json().result;
  const jtu = (await post('/models/mlp/vjp', { x, u })).json().result as number[];
  expect(jv.shape).toEqual(u.shape);
  const dot = (a: number[], b: number[]) => a.reduce((sum, each, i) => sum + each * b[i]!, 0);
  expect(dot(jv.data, u.data)).toBeCloseTo(dot(jtu, v), 2);
});

it('solves with an operator whose products it answers', async () => {
  const problem = { x: inputs(16), target: { data: [...vector(16, 7)], shape: [16, 1] }, loss: 'mse' };
  const damping = 0.5;
  const solution = (await post(SOLVE, { ...problem, b: v, damping })).json();
  expect(solution).toMatchObject({ converged: true, reason: 'converged' });
  const operator = '/models/mlp/operators/gauss-newton/matvec';
  const product = (await post(operator, { ...problem, v: solution.result })).json().result as number[];
  const sum = product.map((each, i) => each + damping * solution.result[i]);
  expect(relativeError(sum, v)).toBeLessThan(1e-3);
});

it.each([
  ['a vector of another length', MATVEC, { v: [1] }, 400, 'ERR_SHAPE_MISMATCH'],
  ['text for a number', MATVEC, { v: ['1'] }, 400, 'FST_ERR_VALIDATION'],
  ['an unknown entry', MATVEC, { file: 'x' }, 400, 'FST_ERR_VALIDATION'],
  [
    'a fraction for a whole number',
    MATVEC,
    { x: { data: [0.5], shape: [1], dtype: 'int32' } },
    400,
    'ERR_INVALID_ARGUMENT',
  ],
  ['an unknown model', '/models/nope/matvec', {}, 404, 'ERR_UNKNOWN_MODEL'],
  ['an unknown path', '/nope', {}, 404, 'ERR_NOT_FOUND'],
  ['a result that JSON cannot hold', MATVEC, { v: null }, 422, 'ERR_NOT_FINITE'],
  ['a body that is too large', MATVEC, { v: new Array(2 ** 20).fill(0) }, 413, 'FST_ERR_CTP_BODY_TOO_LARGE'],
])('refuses %s', async (_, url, wrong: object, status, code) => {
  const given = { x: inputs(2), v, ...wrong };
  if (given.v === null) given.v = v.map(() => 1e39);
  const answer = await post(url, given);
  expect([answer.statusCode, answer.json().error.code]).toEqual([status, code]);
});

it('stops the work of a client that goes away, and refuses those who come while there is no room', async () => {
  configure({ concurrency: 1, maxQueue: 0 });
  const { port } = app.server.address() as { port: number };
  const leaving = new AbortController();
  const left = fetch(`http://127.0.0.1:${port}${SOLVE}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(long()),
    signal: leaving.signal,
  });
  for (let i = 0; info().running === 0 && i < 1000; i++) await sleep(10);
  expect(info().running).toBe(1);

  const busy = await post(MATVEC, { x: inputs(2), v });
  expect([busy.statusCode, busy.json().error.code]).toEqual([503, 'ERR_BUSY']);
  expect(Number(busy.headers['retry-after'])).toBeGreaterThan(0);

  leaving.abort();
  await expect(left).rejects.toThrow();
  for (let i = 0; info().running > 0 && i < 1000; i++) await sleep(10);
  expect(info().running).toBe(0);
  const counted = async () => (await app.inject('/metrics')).body;
  await expect.poll(counted).toMatch(/http_requests_total\{.*solve",status="499"\} 1/);
});

it('ends what takes too long', async () => {
  const hasty = createApp(new Map([['mlp', served]]), { ...OPTIONS, requestTimeout: 50 });
  const answer = await hasty.inject({ method: 'POST', url: SOLVE, payload: long() });
  expect([answer.statusCode, answer.json().error.code]).toEqual([503, 'ERR_TIMEOUT']);
  await hasty.close();
});

it('refuses what would not fit', async () => {
  configure({ memoryLimit: info().bytesHeld + 2 ** 24 });
  const answer = await post(MATVEC, { x: inputs(2), v, dense: true });
  expect([answer.statusCode, answer.json().error.code]).toEqual([507, 'ERR_OUT_OF_MEMORY']);
});

it('tells how it is', async () => {
  const { status, models } = (await app.inject('/health')).json();
  expect({ status, models }).toEqual({ status: 'ok', models: ['mlp'] });
  const metrics = (await app.inject('/metrics')).body;
  expect(metrics).toMatch(/curvature_operations_total\{kind="matvec_on_the_fly",outcome="ok"\} \d+\n/);
  expect(metrics).toMatch(/curvature_operations_total\{kind="matvec_on_the_fly",outcome="ERR_BUSY"\} 1\n/);
  expect(metrics).toMatch(/curvature_run_seconds_bucket\{kind="cg",le="\+Inf"\} \d+\n/);
  for (const gauge of ['curvature_running', 'curvature_queued', 'curvature_held_bytes']) {
    expect(metrics).toMatch(new RegExp(`^# TYPE ${gauge} gauge\n${gauge} \\d+$`, 'm'));
  }
});

it('refuses settings that are wrong, by name', () => {
  expect(() => readSettings({ MAX_QUEUE: 'many' })).toThrow('MAX_QUEUE should be a whole number, got many');
});
