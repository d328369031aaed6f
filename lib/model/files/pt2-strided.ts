/** `as_strided` of a tensor that lies in memory in order: a choice of its elements by their places, to read or to write. */
import type { RawArgument, RawSize } from '../../addon/program.ts';
import { MOST_AXES } from '../../arrays.ts';
import { damaged } from './failure.ts';

/** Adds a node of one result; returns the number of its value. */
type Add = (target: string, args: readonly RawArgument[]) => number;

/**
 * Element (i, j, …) of the result is number `offset` + i `strides[0]` + j `strides[1]` + … of the elements of `value`; one
 * that it has not ends in an error.
 *
 * @param args what follows the tensors: sizes, strides and, where it is given, the offset
 * @returns the number of the result's value
 */
export function readStrided(value: number, args: readonly RawArgument[], add: Add): number {
  const result = add('aten::index_select', [flat(value, add), 0, placesOf(args, add)]);
  return add('aten::reshape', [{ ref: result }, args[0]!]);
}

/** `value` with the elements of `source` in the places that `readStrided` reads: `as_strided_scatter`. */
export function writeStrided(value: number, source: number, args: readonly RawArgument[], add: Add): number {
  const places = placesOf(args, add);
  const written = add('aten::index_put', [flat(value, add), { refs: [places.ref] }, flat(source, add)]);
  return add('aten::reshape_as', [{ ref: written }, { ref: value }]);
}

function flat(value: number, add: Add): { ref: number } {
  return { ref: add('aten::reshape', [{ ref: value }, [-1]]) };
}

function placesOf(args: readonly RawArgument[], add: Add): { ref: number } {
  const [sizes, strides] = [numbers(args[0]), numbers(args[1])];
  if (sizes.length !== strides.length) throw damaged('aten::as_strided is given other strides than sizes');
  if (sizes.length > MOST_AXES) throw damaged('aten::as_strided has more axes than tensors have');
  let places = add('aten::full', [[], args[2] ?? 0]);
  for (const [axis, size] of sizes.entries()) {
    const along = add('aten::arange', [argument(size)]);
    const steps = add('aten::mul.Scalar', [{ ref: along }, argument(strides[axis]!)]);
    const ones = Array<number>(sizes.length - 1 - axis).fill(1);
    const shaped = add('aten::reshape', [{ ref: steps }, [-1, ...ones]]);
    places = add('aten::add.Tensor', [{ ref: places }, { ref: shaped }]);
  }
  return flat(places, add);
}

/** Whether all elements are among so many; those of sizes that are not fixed are looked at when the model runs. */
export function isWithin(elements: number, args: readonly (RawArgument | undefined)[]): boolean {
  const [sizes, strides] = [numbers(args[0]), numbers(args[1])];
  const fixed = (each: unknown) => (typeof each === 'number' ? each : Number.NaN);
  const steps = strides.map(fixed);
  if (steps.some((step) => step < 0) || fixed(args[2] ?? 0) < 0) return false;
  const last = sizes.reduce<number>(
    (sum, size, axis) => sum + (fixed(size) - 1) * steps[axis]!,
    fixed(args[2] ?? 0),
  );
  return sizes.includes(0) || !(last >= elements);
}

function numbers(list: RawArgument | undefined): readonly RawSize[] {
  if (Array.isArray(list)) return list;
  if (typeof list === 'object' && list !== null && 'sizes' in list) return list.sizes;
  throw damaged('aten::as_strided is given no list of numbers');
}

function argument(size: RawSize): RawArgument {
  return typeof size === 'number' ? size : { size };
}
