/** The kinds of requests, how often each is sent, and what should come of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { DAMPING, reference, relativeError } from './reference.mjs';

/**
 * @typedef {{ outcome?: string, fault?: string }} Outcome what was expected, or what was not
 * @typedef {{ name: string, weight: number, send: () => Promise<Outcome> }} Kind
 */

/** Of float32 against float64; of cg, whose tolerance it is, ten times. */
const TOLERANCE = 1e-4;
/** Rows of a batch that takes long enough to be left in the middle. */
const MANY_ROWS = 2048;
const OPERATOR = '/models/mlp/operators/gauss-newton';

/**
 * @param {import('./client.mjs').Client} client
 * @returns {Promise<Kind[]>}
 */
export async function kindsOf(client) {
  const known = await reference();
  const flat = (values) => Array.from(values);
  const matrix = (values, columns) => ({ data: flat(values), shape: [values.length / columns, columns] });
  const [x, v, b] = [matrix(known.x, 4), flat(known.v), flat(known.b)];
  const loss = { x, target: matrix(known.target, 1), loss: 'mse' };
  const many = new Array(MANY_ROWS).fill(0.5);
  const long = {
    ...{ x: { data: many.flatMap((each) => [each, 0, 1, 2]), shape: [MANY_ROWS, 4] }, loss: 'mse', b },
    ...{ target: { data: many, shape: [MANY_ROWS, 1] }, damping: 1e-9, tolerance: 0, maxIterations: 1000 },
  };

  const near = (expected) => (json) => {
    const error = relativeError(json.result.data ?? json.result, expected);
    return error < TOLERANCE ? undefined : `differs by ${error}`;
  };
  const solves = (json) => {
    const error = relativeError(known.system(json.result), known.b);
    return json.converged && error < 10 * TOLERANCE ? undefined : `the residual is ${error}`;
  };
  const valid = (name, weight, path, body, check) => {
    const text = JSON.stringify(body);
    return { name, weight, send: async () => answered(await client.post(path, text), check) };
  };
  const refused = (name, path, body, status, code, weight = 2) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return { name, weight, send: async () => isRefusal(await client.post(path, text), status, code) };
  };
  const matvec = '/models/mlp/matvec';

  return [
    valid('matvec', 30, matvec, { x, v }, near(known.matvec)),
    valid('jvp', 15, '/models/mlp/jvp', { x, v }, near(known.jvp)),
    valid('vjp', 15, '/models/mlp/vjp', { x, u: matrix(known.u, 1) }, near(known.vjp)),
    valid('operator', 15, `${OPERATOR}/matvec`, { ...loss, v }, near(known.gaussNewton)),
    valid('solve', 10, `${OPERATOR}/solve`, { ...loss, b, damping: DAMPING }, solves),
    { name: 'health', weight: 3, send: async () => isHealthy(await client.get('/health')) },
    refused('short vector', matvec, { x, v: [1] }, 400, 'ERR_SHAPE_MISMATCH'),
    refused('false shape', matvec, { x: { data: [1], shape: [1e9, 4] }, v }, 400, 'ERR_SHAPE_MISMATCH'),
    refused(
      'integer input',
      matvec,
      { x: { ...x, data: x.data.map(Math.round), dtype: 'int32' }, v },
      400,
      'ERR_DTYPE_MISMATCH',
    ),
    refused('text for a number', matvec, { x, v: ['1'] }, 400, 'FST_ERR_VALIDATION'),
    refused('unknown entry', matvec, { x, v, file: '/etc/passwd' }, 400, 'FST_ERR_VALIDATION'),
    refused('no operator', '/models/mlp/operators/none/matvec', { ...loss, v }, 400, 'FST_ERR_VALIDATION'),
    refused('no model', '/models/..%2F/matvec', { x, v }, 404, 'ERR_UNKNOWN_MODEL'),
    refused('broken JSON', matvec, '{"x":', 400, 'FST_ERR_CTP_INVALID_JSON_BODY'),
    refused('prototype', matvec, '{"__proto__": {"x": 1}}', 400, 'FST_ERR_CTP_INVALID_JSON_BODY'),
    refused('infinity', matvec, { x, v: v.map(() => 1e39) }, 422, 'ERR_NOT_FINITE'),
    refused('too much memory', matvec, { x, v, dense: true }, 507, 'ERR_OUT_OF_MEMORY'),
    { name: 'huge body', weight: 1, send: () => tooLarge(client, matvec) },
    { name: 'aborted', weight: 10, send: () => abandoned(client, `${OPERATOR}/solve`, JSON.stringify(long)) },
    { name: 'hung up', weight: 3, send: () => hungUp(client, matvec, JSON.stringify({ x, v })) },
  ];
}

/** A refusal by the queue, which says when to come again. */
function isBusy({ status, headers, json }) {
  return status === 503 && json.error.code === 'ERR_BUSY' && headers.get('retry-after') !== null;
}

/** @returns {Outcome} */
function answered(answer, check) {
  if (isBusy(answer)) return { outcome: 'busy' };
  const { status, json } = answer;
  if (status !== 200) return { fault: `${status} ${JSON.stringify(json)}` };
  const fault = check(json);
  return fault === undefined ? { outcome: 'right' } : { fault };
}

/** @returns {Outcome} */
function isRefusal(answer, status, code) {
  if (answer.status === status && answer.json.error.code === code) return { outcome: `${status}` };
  if (isBusy(answer)) return { outcome: 'busy' };
  return { fault: `${answer.status} ${JSON.stringify(answer.json)}, not ${status} ${code}` };
}

/** @returns {Outcome} */
function isHealthy({ status, text }) {
  return status === 200 && JSON.parse(text).status === 'ok' ? { outcome: 'right' } : { fault: text };
}

/** The server may hang up on a body that it does not want to read. @returns {Promise<Outcome>} */
async function tooLarge(client, path) {
  try {
    return isRefusal(await client.post(path, ' '.repeat(5e6)), 413, 'FST_ERR_CTP_BODY_TOO_LARGE');
  } catch (error) {
    if (['EPIPE', 'ECONNRESET', 'UND_ERR_SOCKET'].includes(error.cause?.code)) return { outcome: 'cut off' };
    throw error;
  }
}

/** A client that loses patience. @returns {Promise<Outcome>} */
async function abandoned(client, path, body) {
  try {
    const answer = await client.post(path, body, AbortSignal.timeout(Math.ceil(100 * Math.random())));
    return answered(answer, () => undefined);
  } catch (error) {
    if (error.name === 'TimeoutError') return { outcome: 'left' };
    throw error;
  }
}

/** @returns {Promise<Outcome>} */
async function hungUp(client, path, body) {
  await client.hangUp(path, body);
  await sleep(5);
  return { outcome: 'left' };
}
