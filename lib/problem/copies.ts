/** Data as they are when a function is called: for work that reads them after its caller has gone on, and may change them. */
import { types } from 'node:util';
import { allocated, checkTypedArray, type Tensor, type TypedArray } from '../arrays.ts';
import { isList, lengthOf, listOf } from '../foreign.ts';
import { type Inputs, isNamed } from '../model/inputs.ts';
import { record } from '../options.ts';
import { HeldTensor } from './held-tensor.ts';

/** A copy of a tensor, whose shape is checked where it is used; what is bound stays where it is. */
export function copyOfTensor(value: Tensor, name: string): Tensor {
  if (HeldTensor.is(value)) return value;
  const { data, shape } = record(value, name) as Tensor;
  checkTypedArray(data, `${name}.data`, true);
  return {
    data: copyOfData(data),
    shape: isList(shape) ? (listOf(shape, `${name}.shape`) as number[]) : shape,
  };
}

/** A copy of each of the inputs, in the form in which they are given. */
export function copyOfInputs(x: Inputs): Inputs {
  if (isNamed(x)) {
    const copies = Object.entries(x).map(([name, input]) => [name, copyOfTensor(input, `x.${name}`)]);
    return Object.fromEntries(copies);
  }
  if (!isList(x)) return copyOfTensor(x as Tensor, 'x');
  return listOf(x, 'x').map((input, index) => copyOfTensor(input as Tensor, `x[${index}]`));
}

/** A copy of what there is of a batch. */
export function copyOfBatch<Batch extends { x?: Inputs; target?: Tensor }>({
  x,
  target,
}: Batch): Pick<Batch, 'x' | 'target'> {
  return {
    ...(x !== undefined && { x: copyOfInputs(x) }),
    ...(target !== undefined && { target: copyOfTensor(target, 'target') }),
  } as Pick<Batch, 'x' | 'target'>;
}

function copyOfData(data: TypedArray): TypedArray {
  const length = lengthOf(data);
  if (types.isBigInt64Array(data)) {
    const copy = allocated(BigInt64Array, length);
    copy.set(data);
    return copy;
  }
  const copy = types.isFloat32Array(data)
    ? allocated(Float32Array, length)
    : types.isFloat64Array(data)
      ? allocated(Float64Array, length)
      : types.isInt32Array(data)
        ? allocated(Int32Array, length)
        : allocated(Uint8Array, length);
  copy.set(data as Exclude<TypedArray, BigInt64Array>);
  return copy;
}
