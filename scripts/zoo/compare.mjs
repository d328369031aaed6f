/** Every product of a model from a file, beside the values of torch.func. */

/** Relative difference, to the largest expected value, beyond which a number is wrong. */
export const TOLERANCE = 1e-8;

/** Elements of J up to which the dense products are tried. */
const MOST_DENSE = 1e7;

const TYPES = {
  float64: Float64Array,
  float32: Float32Array,
  int64: BigInt64Array,
  int32: Int32Array,
  bool: Uint8Array,
  uint8: Uint8Array,
};

/** @param {{ dtype: string, shape: number[], base64: string }} stored */
export function decode({ dtype, shape, base64 }) {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
  return { data: new TYPES[dtype](bytes.buffer), shape };
}

/** @returns the largest difference, relative to the largest expected value */
export function relativeError(actual, expected) {
  if (actual.length !== expected.length) return Number.POSITIVE_INFINITY;
  let [difference, scale] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const each = Math.abs(actual[i] - expected[i]);
    if (!(each <= difference)) difference = each; // NaN stays
    scale = Math.max(scale, Math.abs(expected[i]));
  }
  return scale === 0 ? difference : difference / scale;
}

/**
 * @param api the package
 * @param {string | Uint8Array} file a `.pt2`
 * @param {object} expected what export.py wrote beside it
 * @returns {Promise<{ product: string, cuts: boolean | 'perhaps', error?: number, refused?: { code: string, message: string } }[]>}
 *   one record per product: the error of its numbers, or how it was refused; `cuts`: it takes rows apart
 */
export async function compareModel(api, file, expected) {
  const results = [];
  let model;
  try {
    model = await api.Model.load(file, expected.load);
  } catch (error) {
    return [{ product: 'load', cuts: false, refused: refusal(error) }];
  }
  const value = (name) => decode(expected[name]).data;
  const names = model.parameters.map(({ name, shape }) => [name, [...shape]]);
  if (JSON.stringify(names) !== JSON.stringify(expected.names)) {
    throw new Error(
      `the parameters are ${JSON.stringify(names)}, in PyTorch ${JSON.stringify(expected.names)}`,
    );
  }
  results.push({
    product: 'load',
    cuts: false,
    error: relativeError(model.initialParameters, value('params')),
  });

  const inputs = expected.inputs.map(decode);
  const problem = { model, params: value('params'), x: inputs.length === 1 ? inputs[0] : inputs };
  return [...results, ...(await compareProducts(api, problem, expected))];
}

/** The records of the products of a problem, whose values are expected. */
export async function compareProducts(api, problem, expected) {
  const results = [];
  const [v, u] = ['v', 'u'].map((name) => decode(expected[name]).data);
  for (const { product, cuts, run, expect } of products(api, problem, { v, u }, expected)) {
    try {
      results.push({ product, cuts, error: relativeError(await run(), expect) });
    } catch (error) {
      results.push({ product, cuts, refused: refusal(error) });
    }
  }
  return results;
}

function* products(api, problem, { v, u }, expected) {
  const value = (name) => decode(expected[name]).data;
  const y = decode(expected.y);
  const chunked = { chunkSize: 2 };
  const kept = async (options, apply) => {
    const linearization = await api.linearize(problem, options);
    try {
      return await apply(linearization);
    } finally {
      linearization.dispose();
    }
  };
  const operator = async (make, apply) => {
    const made = await make();
    try {
      return await apply(made);
    } finally {
      made.dispose();
    }
  };
  const one = (product, run, expect, cuts = false) => ({ product, run, expect, cuts });

  const forward = (options) =>
    problem.model.forward(problem.params, problem.x, options).then(({ data }) => data);
  yield one('forward', () => forward(), y.data);
  yield one('forward, chunked', () => forward(chunked), y.data, true);
  for (const [way, options, cuts] of [
    ['', {}, false],
    [', chunked', chunked, true],
    [', autograd', { engine: 'autograd' }, false],
  ]) {
    yield one(`JᵀJ v one-shot${way}`, () => api.matvecOnTheFly(problem, v, options), value('jtjv'), cuts);
    yield one(`J v${way}`, () => kept(options, async (lin) => (await lin.jvp(v)).data), value('jv'), cuts);
    yield one(`Jᵀu${way}`, () => kept(options, (lin) => lin.vjp(u)), value('jtu'), cuts);
    yield one(`JᵀJ v kept${way}`, () => kept(options, (lin) => lin.matvec(v)), value('jtjv'), cuts);
  }
  yield one(
    'JJᵀu',
    () =>
      operator(
        () => api.ntk(problem),
        (ntk) => ntk.matvec(u),
      ),
    value('jjtu'),
    'perhaps', // it may keep the rows of J
  );
  if (v.length * y.data.length <= MOST_DENSE && v.length <= 4096) {
    yield one('dense, Gram', () => api.matvecDense(problem, v), value('jtjv'), true);
    yield one('dense, J', () => api.matvecDense(problem, v, { strategy: 'jacobian' }), value('jtjv'), true);
    yield one('dense, chunked', () => api.matvecDense(problem, v, chunked), value('jtjv'), true);
  }
  for (const [loss, of] of Object.entries(expected.losses)) {
    const whole = { ...problem, loss, target: decode(of.target) };
    for (const [way, options, cuts] of [
      ['', {}, false],
      [', chunked', chunked, true],
    ]) {
      const apply = (make) => () =>
        operator(
          () => make(whole, options),
          (each) => each.matvec(v),
        );
      const gradient = () => api.lossAndGradient(whole, options);
      yield one(`${loss}${way}`, async () => [(await gradient()).loss], [of.value], cuts);
      yield one(
        `gradient, ${loss}${way}`,
        async () => (await gradient()).gradient,
        decode(of.gradient).data,
        cuts,
      );
      yield one(`Gauss–Newton, ${loss}${way}`, apply(api.gaussNewton), decode(of.gaussNewtonV).data, cuts);
      // PyTorch has no second derivative of some operators.
      if (of.hessianV === null) continue;
      yield one(`Hessian, ${loss}${way}`, apply(api.hessian), decode(of.hessianV).data, cuts);
    }
  }
}

function refusal(error) {
  const { code = error?.constructor?.name ?? 'no code', message = String(error) } = error ?? {};
  return { code, message: message.replace(/^\S+\.pt2: /, '') };
}

/**
 * `right`, `partly` (some products are refused), `refused` or `wrong`. Where rows depend on one another, what cuts them apart is
 * rightly refused.
 */
export function verdict(results, independent) {
  if (results.some(({ error }) => error !== undefined && !(error <= TOLERANCE))) return 'wrong';
  const refused = results.filter(
    (each) => each.refused !== undefined && !(each.cuts && !independent && isOfRows(each.refused)),
  );
  if (refused.length === 0) return 'right';
  return refused.some(({ product }) => product === 'load' || product === 'forward') ? 'refused' : 'partly';
}

/** Rows that depend on one another, or fewer than the file is for. */
function isOfRows({ code }) {
  return code === 'ERR_UNSUPPORTED_OP' || code === 'ERR_SHAPE_MISMATCH';
}
