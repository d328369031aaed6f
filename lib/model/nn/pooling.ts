import { noOptions, OptionNames } from '../../options.ts';
import * as check from './arguments.ts';
import type { Layer } from './layer.ts';

/** What pooling takes. */
const IMAGES = { shape: ['channels', 'height', 'width'] } as const;

type Sizes = number | readonly [number, number];

export interface MaxPoolOptions {
  stride?: Sizes;
  padding?: Sizes;
  dilation?: Sizes;
  ceilMode?: boolean;
}

export interface AvgPoolOptions {
  stride?: Sizes;
  padding?: Sizes;
  ceilMode?: boolean;
  countIncludePad?: boolean;
}

const MAX_POOL = new OptionNames<MaxPoolOptions>(
  { stride: true, padding: true, dilation: true, ceilMode: true },
  'the options of maxPool2d',
);
const AVG_POOL = new OptionNames<AvgPoolOptions>(
  { stride: true, padding: true, ceilMode: true, countIncludePad: true },
  'the options of avgPool2d',
);

/** The largest element of each window; x of [batch, channels, height, width]. The stride defaults to the kernel. */
export function maxPool2d(kernel: Sizes, options?: MaxPoolOptions): Layer {
  const { stride = kernel, padding = 0, dilation = 1, ceilMode = false } = MAX_POOL.read(options);
  const args = [
    check.sizes(kernel, 2, 'maxPool2d: kernel'),
    check.sizes(stride, 2, 'maxPool2d: stride'),
    check.sizes(padding, 2, 'maxPool2d: padding', 0),
    check.sizes(dilation, 2, 'maxPool2d: dilation'),
    check.flag(ceilMode, 'maxPool2d: ceilMode'),
  ] as const;
  return { kind: 'maxPool2d', takes: IMAGES, emit: (scope, x) => scope.call('aten::max_pool2d', x, ...args) };
}

/** The mean of each window; x of [batch, channels, height, width]. The stride defaults to the kernel. */
export function avgPool2d(kernel: Sizes, options?: AvgPoolOptions): Layer {
  const given = AVG_POOL.read(options);
  const args = [
    check.sizes(kernel, 2, 'avgPool2d: kernel'),
    check.sizes(given.stride ?? kernel, 2, 'avgPool2d: stride'),
    check.sizes(given.padding ?? 0, 2, 'avgPool2d: padding', 0),
    check.flag(given.ceilMode ?? false, 'avgPool2d: ceilMode'),
    check.flag(given.countIncludePad ?? true, 'avgPool2d: countIncludePad'),
  ] as const;
  return { kind: 'avgPool2d', takes: IMAGES, emit: (scope, x) => scope.call('aten::avg_pool2d', x, ...args) };
}

/** The means of as many equal parts as `size` says along each axis of the images; x of [batch, channels, height, width]. */
export function adaptiveAvgPool2d(size: Sizes): Layer;
export function adaptiveAvgPool2d(size: Sizes, ...rest: readonly unknown[]): Layer {
  noOptions(rest, 'adaptiveAvgPool2d');
  const sizes = check.sizes(size, 2, 'adaptiveAvgPool2d: size');
  return {
    kind: 'adaptiveAvgPool2d',
    takes: IMAGES,
    emit: (scope, x) => scope.call('aten::adaptive_avg_pool2d', x, sizes),
  };
}
