/** PyTorch's default initializations, drawn in PyTorch's order from PyTorch's generator. */
import { type DType, elementCount, type FloatArray, floatArray } from '../../arrays.ts';
import type { Generator } from '../generator.ts';

/** The initial values of a parameter. */
export type Initializer = (shape: readonly number[], generator: Generator, dtype: DType) => FloatArray;

/** Uniform in [−bound, bound). */
export function uniform(bound: number): Initializer {
  return (shape, generator, dtype) => generator.uniform(shape, { low: -bound, high: bound, dtype }).data;
}

/**
 * `kaiming_uniform_(weight, a=√5)`, what linear and convolution layers use: uniform with bound √3·gain/√fanIn and
 * gain = √(2/(1 + a²)). The operations are those of `torch.nn.init`, in its order, so that every bit agrees.
 */
export function kaimingUniform(fanIn: number): Initializer {
  const gain = Math.sqrt(2 / (1 + Math.sqrt(5) ** 2));
  return uniform(Math.sqrt(3) * (gain / Math.sqrt(fanIn)));
}

/** The bias beside such a weight: uniform with bound 1/√fanIn. */
export function biasUniform(fanIn: number): Initializer {
  return uniform(1 / Math.sqrt(fanIn));
}

/** Standard normal; row `zeroRow` of a matrix is then set to zero. */
export function normal(zeroRow?: number): Initializer {
  return (shape, generator, dtype) => {
    const { data } = generator.randn(shape, { dtype });
    const width = shape.at(-1)!;
    if (zeroRow !== undefined) data.fill(0, zeroRow * width, (zeroRow + 1) * width);
    return data;
  };
}

export function constant(value: number): Initializer {
  return (shape, _generator, dtype) => floatArray(dtype, elementCount(shape, 'shape')).fill(value);
}
