/** JSON to typed arrays and back. */
import { type FloatArray, type Tensor, tensor } from 'torch-curvature';
import { Refusal } from './errors.ts';

/** A tensor in JSON: whole numbers for `int32`, the precision of the model where nothing is said. */
export interface JsonTensor {
  readonly data: number[];
  readonly shape: number[];
  readonly dtype?: 'int32';
}

/** A vector in the precision of the parameters. */
export function vector(numbers: readonly number[], params: FloatArray): FloatArray {
  return params instanceof Float32Array ? Float32Array.from(numbers) : Float64Array.from(numbers);
}

/** @throws TypeError, RangeError, TorchCurvatureError for data that does not fit the shape */
export function fromJson(
  { data, shape, dtype }: JsonTensor,
  params: FloatArray,
): Tensor<Int32Array | FloatArray> {
  if (dtype === undefined) return tensor(vector(data, params), shape);
  if (data.some((each) => (each | 0) !== each)) {
    throw new Refusal(400, 'ERR_INVALID_ARGUMENT', 'a tensor of int32 holds a number that is none');
  }
  return tensor(Int32Array.from(data), shape);
}

/** JSON has no word for infinity and NaN: a result that holds one is refused. */
export function toJson(values: FloatArray): number[] {
  if (!values.every(Number.isFinite)) {
    throw new Refusal(422, 'ERR_NOT_FINITE', 'the result holds infinity or NaN');
  }
  return Array.from(values);
}
