/** The layers of `Model.sequential`, named and initialized as PyTorch's. A new layer is a file and a line here. */
export { elu, gelu, leakyRelu, relu, sigmoid, silu, softplus, tanh } from './activations.ts';
export { conv1d, conv2d } from './convolution.ts';
export { embedding } from './embedding.ts';
export { linear } from './linear.ts';
export { groupNorm, layerNorm } from './normalisation.ts';
export { avgPool2d, maxPool2d } from './pooling.ts';
export { residual } from './residual.ts';
export { flatten, squeeze, unsqueeze } from './shape.ts';
export { logSoftmax, softmax } from './softmax.ts';
