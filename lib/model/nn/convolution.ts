import { numel } from '../../arrays.ts';
import { outOfRange } from '../../errors.ts';
import { OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import { biasUniform, kaimingUniform } from './initializers.ts';
import type { Layer } from './layer.ts';

export interface ConvolutionOptions<Sizes> {
  stride?: number | Sizes;
  padding?: number | Sizes;
  dilation?: number | Sizes;
  groups?: number;
  bias?: boolean;
}

const CONVOLUTION = new OptionNames<ConvolutionOptions<readonly number[]>>(
  { stride: true, padding: true, dilation: true, groups: true, bias: true },
  'the options of a convolution',
);

/** The names of the axes of an image, or of a sequence. */
const SPATIAL: Readonly<Record<number, readonly string[]>> = { 1: ['length'], 2: ['height', 'width'] };

type Pair = readonly [number, number];

/** x of [batch, inputs, length]; `weight` [outputs, inputs/groups, kernel]. */
export function conv1d(
  inputs: number,
  outputs: number,
  kernel: number,
  options?: ConvolutionOptions<readonly [number]>,
): Layer {
  return convolution('conv1d', 1, inputs, outputs, kernel, options);
}

/** x of [batch, inputs, height, width]; `weight` [outputs, inputs/groups, kernel, kernel]. */
export function conv2d(
  inputs: number,
  outputs: number,
  kernel: number | Pair,
  options?: ConvolutionOptions<Pair>,
): Layer {
  return convolution('conv2d', 2, inputs, outputs, kernel, options);
}

/** The sizes of a convolution, checked. */
function checkConvolution(
  kind: string,
  axes: number,
  inputs: number,
  outputs: number,
  kernel: number | readonly number[],
  given: ConvolutionOptions<readonly number[]> | undefined,
) {
  const {
    stride = 1,
    padding = 0,
    dilation = 1,
    groups = 1,
    bias = true,
  } = CONVOLUTION.read(given, `the options of ${kind}`);
  check.size(inputs, `${kind}: in`);
  check.size(outputs, `${kind}: out`);
  check.size(groups, `${kind}: groups`);
  check.flag(bias, `${kind}: bias`);
  if (inputs % groups !== 0 || outputs % groups !== 0) {
    throw outOfRange(`${kind}: groups should divide in (${inputs}) and out (${outputs}), got ${groups}`);
  }
  return {
    groups,
    bias,
    kernelSizes: check.sizes(kernel, axes, `${kind}: kernel`),
    strides: check.sizes(stride, axes, `${kind}: stride`),
    paddings: check.sizes(padding, axes, `${kind}: padding`, 0),
    dilations: check.sizes(dilation, axes, `${kind}: dilation`),
  };
}

function convolution(
  kind: 'conv1d' | 'conv2d',
  axes: number,
  inputs: number,
  outputs: number,
  kernel: number | readonly number[],
  options?: ConvolutionOptions<readonly number[]>,
): Layer {
  const { strides, paddings, dilations, groups, bias, kernelSizes } = checkConvolution(
    kind,
    axes,
    inputs,
    outputs,
    kernel,
    options,
  );
  const shape = [outputs, inputs / groups, ...kernelSizes];
  const fanIn = numel(shape.slice(1));
  return {
    kind,
    takes: { shape: [inputs, ...SPATIAL[axes]!] },
    emit(scope, x) {
      const weight = scope.parameter('weight', shape, kaimingUniform(fanIn));
      const offset = bias ? scope.parameter('bias', [outputs], biasUniform(fanIn)) : null;
      return scope.call(`aten::${kind}`, x, weight, offset, strides, paddings, dilations, groups);
    },
  };
}

export interface TransposedConvolutionOptions extends ConvolutionOptions<Pair> {
  outputPadding?: number | Pair;
}
const TRANSPOSED = new OptionNames<TransposedConvolutionOptions>(
  { stride: true, padding: true, outputPadding: true, dilation: true, groups: true, bias: true },
  'the options of convTranspose2d',
);

/** The transposed map of a convolution; x of [batch, inputs, height, width], `weight` [inputs, outputs/groups, kernel, kernel]. */
export function convTranspose2d(
  inputs: number,
  outputs: number,
  kernel: number | Pair,
  options?: TransposedConvolutionOptions,
): Layer {
  const { outputPadding = 0, ...given } = TRANSPOSED.read(options);
  const { strides, paddings, dilations, groups, bias, kernelSizes } = checkConvolution(
    'convTranspose2d',
    2,
    inputs,
    outputs,
    kernel,
    given,
  );
  const outputPaddings = check.sizes(outputPadding, 2, 'convTranspose2d: outputPadding', 0);
  const shape = [inputs, outputs / groups, ...kernelSizes];
  const fanIn = numel(shape.slice(1));
  return {
    kind: 'convTranspose2d',
    takes: { shape: [inputs, ...SPATIAL[2]!] },
    emit(scope, x) {
      const weight = scope.parameter('weight', shape, kaimingUniform(fanIn));
      const offset = bias ? scope.parameter('bias', [outputs], biasUniform(fanIn)) : null;
      return scope.call(
        'aten::conv_transpose2d.input',
        x,
        weight,
        offset,
        strides,
        paddings,
        outputPaddings,
        groups,
        dilations,
      );
    },
  };
}
