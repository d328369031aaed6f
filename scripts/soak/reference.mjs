/** What the answers should be: from the model's Jacobian, built by another method in twice the precision. */
import { fileURLToPath } from 'node:url';
import { Generator, jacobian, Model } from 'torch-curvature';

const FILE = fileURLToPath(new URL('../examples/server/models/mlp.pt2', import.meta.url));
const ROWS = 32;
export const DAMPING = 0.1;

/** One batch with vectors of its own: the operands of every valid request, and their products. */
export async function reference() {
  const model = await Model.load(FILE);
  const generator = new Generator(1);
  const draw = (...shape) => generator.randn(shape).data;
  const [x, target, u] = [draw(ROWS, 4), draw(ROWS, 1), draw(ROWS, 1)];
  const [v, b] = [draw(model.parameterCount), draw(model.parameterCount)];
  const operator = await jacobian({
    model,
    params: Float64Array.from(model.initialParameters),
    x: { data: Float64Array.from(x), shape: [ROWS, 4] },
  });
  const { data: j } = await operator.toDense();
  const times = (w) => Float64Array.from({ length: ROWS }, (_, row) => dot(j, w, row * v.length));
  const transposed = (w) => {
    const sum = new Float64Array(v.length);
    for (let i = 0; i < j.length; i++) sum[i % v.length] += j[i] * w[Math.floor(i / v.length)];
    return sum;
  };
  const product = (w) => transposed(times(w));
  // The Hessian of the mean squared error by the outputs is 2/N.
  const gaussNewton = (w) => product(w).map((each) => (2 / ROWS) * each);
  return {
    ...{ x, target, u, v, b, rows: ROWS },
    jvp: times(v),
    vjp: transposed(u),
    matvec: product(v),
    gaussNewton: gaussNewton(v),
    /** (G + damping) y, which should be b. */
    system: (y) => gaussNewton(y).map((each, i) => each + DAMPING * y[i]),
  };
}

function dot(a, b, from) {
  let sum = 0;
  for (let i = 0; i < b.length; i++) sum += a[from + i] * b[i];
  return sum;
}

/**
 * ‖a − b‖ / ‖b‖; NaN for lengths that differ.
 * @param {ArrayLike<number>} a
 * @param {ArrayLike<number>} b
 */
export function relativeError(a, b) {
  if (a.length !== b.length) return Number.NaN;
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    size += b[i] ** 2;
  }
  return Math.sqrt(difference / size);
}
