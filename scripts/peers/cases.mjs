/**
 * What the peers compete at.
 *
 * @typedef {object} Case
 * @property {string} name
 * @property {number[]} [widths] of a tanh MLP, inputs first
 * @property {'cnn' | 'transformer' | 'wide-transformer' | 'gpt'} [file] a model that PyTorch exports to a .pt2
 * @property {number} batch
 * @property {('float32' | 'float64')[]} dtypes
 * @property {boolean} [dense] whether the dense product is compared too
 * @property {'width' | 'batch' | 'parameters'} [curve] the plot that it is a point of
 */

const BOTH = /** @type {const} */ (['float32', 'float64']);
const SINGLE = /** @type {const} */ (['float32']);

/** @type {Case[]} */
export const TABLE = [
  { name: 'seed', widths: [4, 64, 64, 1], batch: 4096, dtypes: [...BOTH], dense: true },
  { name: '4-256³-1', widths: [4, 256, 256, 256, 1], batch: 4096, dtypes: [...BOTH] },
  { name: '32-512²-10', widths: [32, 512, 512, 10], batch: 4096, dtypes: [...SINGLE] },
  { name: '784-2048²-10', widths: [784, 2048, 2048, 10], batch: 512, dtypes: [...SINGLE] },
  { name: 'cnn', file: 'cnn', batch: 128, dtypes: [...SINGLE] },
  { name: 'transformer', file: 'transformer', batch: 32, dtypes: [...SINGLE] },
  { name: 'wide-transformer', file: 'wide-transformer', batch: 8, dtypes: [...SINGLE] },
  { name: 'gpt', file: 'gpt', batch: 8, dtypes: [...SINGLE] },
];

/** @type {Case[]} */
export const CURVES = [
  ...[16, 32, 64, 128, 256, 512].map((width) => curve('width', [4, width, width, 1], 4096)),
  ...[64, 256, 1024, 4096, 16384].map((batch) => curve('batch', [4, 64, 64, 1], batch)),
  ...[100, 320, 1000, 3160].map((width) => curve('parameters', [16, width, width, 1], 256)),
];

/**
 * @param {'width' | 'batch' | 'parameters'} axis
 * @param {number[]} widths
 * @param {number} batch
 * @returns {Case}
 */
function curve(axis, widths, batch) {
  return {
    name: `${axis}: ${widths.join('-')}, batch ${batch}`,
    widths,
    batch,
    dtypes: [...SINGLE],
    curve: axis,
  };
}

/**
 * The ways of each peer, and how often each runs in a round: dense takes long, the others do not.
 * `against` is the way of ours that a ratio is made with. `gradient` is that of the mean of the squared outputs, forward
 * and backward: what a product is measured in.
 */
export const WAYS = [
  { peer: 'ours', way: 'oneShot', title: 'torch-curvature, one shot' },
  { peer: 'ours', way: 'linearized', title: 'torch-curvature, linearized once' },
  { peer: 'jax', way: 'oneShot', title: 'JAX, jitted jvp+vjp', against: 'oneShot' },
  { peer: 'jax', way: 'linearized', title: 'JAX, linearized once', against: 'linearized' },
  { peer: 'torch', way: 'composition', title: 'PyTorch, jvp+vjp', against: 'oneShot' },
  { peer: 'torch', way: 'seed', title: "PyTorch, the seed thread's way", against: 'oneShot' },
  { peer: 'torch', way: 'linearized', title: 'PyTorch, linearized once', against: 'linearized' },
  { peer: 'ours', way: 'gradient', title: 'torch-curvature, one gradient' },
  { peer: 'torch', way: 'gradient', title: 'PyTorch, one gradient', against: 'gradient' },
  { peer: 'ours', way: 'dense', title: 'torch-curvature, dense', dense: true },
  { peer: 'torch', way: 'dense', title: 'PyTorch, dense', against: 'dense', dense: true },
];
