/** `as_strided` of a tensor that lies in memory in order: a choice of its elements by their places. */
import type { RawArgument, RawSize } from '../../addon/program.ts';
import { damaged } from './failure.ts';

/** As libtorch's tensors have at most. */
const MOST_AXES = 64;

/** Adds a node of one result; returns the number of its value. */
type Add = (target: string, args: readonly RawArgument[]) => number;

/**
 * Element (i, j, …) of the result is number `offset` + i `strides[0]` + j `strides[1]` + … of the elements of `value`; one
 * that it has not ends in an error.
 *
 * @param args what follows the tensor: sizes, strides and, where it is given, the offset
 * @returns the number of the result's value
 */
export function readStrided(value: number, args: readonly RawArgument[], add: Add): number {
  const [sizes, strides] = [numbers(args[0]), numbers(args[1])];
  if (sizes.length !== strides.length) throw damaged('aten::as_strided is given other strides than sizes');
  if (sizes.length > MOST_AXES) throw damaged('aten::as_strided has more axes than tensors have');
  let places = add('aten::full', [[], args[2] ?? 0]);
  for (const [axis, size] of sizes.entries()) {
    const along = add('aten::arange', [argument(size)]);
    let steps = add('aten::mul.Scalar', [{ ref: along }, argument(strides[axis]!)]);
    for (let after = axis + 1; after < sizes.length; after++)
      steps = add('aten::unsqueeze', [{ ref: steps }, -1]);
    places = add('aten::add.Tensor', [{ ref: places }, { ref: steps }]);
  }
  const [elements, chosen] = [value, places].map((each) => add('aten::reshape', [{ ref: each }, [-1]]));
  const result = add('aten::index_select', [{ ref: elements! }, 0, { ref: chosen! }]);
  return add('aten::reshape', [{ ref: result }, args[0]!]);
}

function numbers(list: RawArgument | undefined): readonly RawSize[] {
  if (Array.isArray(list)) return list;
  if (typeof list === 'object' && list !== null && 'sizes' in list) return list.sizes;
  throw damaged('aten::as_strided is given no list of numbers');
}

function argument(size: RawSize): RawArgument {
  return typeof size === 'number' ? size : { size };
}
