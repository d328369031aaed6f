/** The layers of `Model.sequential`, named and initialized as PyTorch's. A new layer is a file and a line here. */
export {
  dropout,
  elu,
  gelu,
  hardswish,
  leakyRelu,
  mish,
  prelu,
  relu,
  sigmoid,
  silu,
  softplus,
  tanh,
} from './activations.ts';
export { multiheadAttention } from './attention.ts';
export { conv1d, conv2d, convTranspose2d } from './convolution.ts';
export { embedding } from './embedding.ts';
export { linear } from './linear.ts';
export { batchNorm1d, batchNorm2d, groupNorm, instanceNorm, layerNorm } from './normalization.ts';
export { adaptiveAvgPool2d, avgPool2d, maxPool2d } from './pooling.ts';
export { positionalEmbedding, rotaryEmbedding } from './positions.ts';
export { residual } from './residual.ts';
export { flatten, squeeze, unsqueeze } from './shape.ts';
export { logSoftmax, softmax } from './softmax.ts';
