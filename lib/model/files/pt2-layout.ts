/** How the tensors of an exported graph lay in memory when it was exported. */
import { asList, asObject, type Json, tagged } from './json.ts';
import { elementType } from './pt2-archive.ts';

/** Operators whose result is a view or a copy as their argument lies in memory. */
const BY_LAYOUT =
  /^aten::(reshape|reshape_as|flatten|ravel|contiguous|to|type_as|resolve_conj|resolve_neg)(\.|$)/;

interface Layout {
  type: string;
  sizes: number[];
  strides: number[];
}

/**
 * Whether the result of an operator shares memory with its argument, both described by the graph; `undefined` where the
 * operator itself tells, or the graph does not.
 */
export function sharesMemory(op: string, argument: unknown, result: unknown): boolean | undefined {
  if (!BY_LAYOUT.test(op)) return undefined;
  const [from, to] = [layoutOf(argument), layoutOf(result)];
  if (from === undefined || to === undefined || !isKnown(from) || !isKnown(to)) return undefined;
  if (from.type !== to.type) return false;
  return isSame(from.sizes, to.sizes) ? hasStrides(from, to.strides) : hasView(from, to.sizes);
}

/**
 * The elements of a tensor that the graph describes, where it lies in memory in their order, from the beginning on, whatever
 * its first size is: `NaN` where that is not fixed, `undefined` where it lies otherwise.
 */
export function elementsInOrder(described: unknown): number | undefined {
  const layout = layoutOf(described, fixedSize);
  if (layout === undefined || fixedSize((described as Json).storage_offset) !== 0) return undefined;
  let elements = 1;
  for (const [axis, size] of Array.from(layout.sizes.entries()).reverse()) {
    if (size !== 1 && layout.strides[axis] !== elements) return undefined;
    elements *= size;
  }
  return elements;
}

/** Sizes and strides as they were for the sample inputs, where symbols have hints; or by another reading. */
function layoutOf(described: unknown, sizeOf = hintOf): Layout | undefined {
  try {
    const meta = asObject(described, 'a description');
    const numbers = (list: unknown): number[] => asList(list, 'sizes').map(sizeOf);
    const layout = {
      type: elementType(meta.dtype),
      sizes: numbers(meta.sizes),
      strides: numbers(meta.strides),
    };
    return layout.sizes.length === layout.strides.length ? layout : undefined;
  } catch {
    return undefined; // written by hand
  }
}

function isKnown({ sizes, strides }: Layout): boolean {
  return [...sizes, ...strides].every((size) => size >= 0);
}

function hintOf(size: unknown): number {
  const [kind, value] = tagged(size, 'a size');
  const hint = kind === 'as_int' ? value : (asObject(value, kind) as { hint?: Json }).hint?.as_int;
  return typeof hint === 'number' ? hint : Number.NaN;
}

/** `NaN` for one that differs from batch to batch. */
function fixedSize(size: unknown): number {
  const [kind, value] = tagged(size, 'a size');
  return kind === 'as_int' && typeof value === 'number' ? value : Number.NaN;
}

function isSame(some: readonly number[], others: readonly number[]): boolean {
  return some.length === others.length && some.every((size, axis) => size === others[axis]);
}

/** Axes of one element may have any stride. */
function hasStrides({ sizes, strides }: Layout, expected: readonly number[]): boolean {
  return sizes.every((size, axis) => size === 1 || strides[axis] === expected[axis]);
}

/** Whether the elements have these sizes without being moved: each run of axes that lie densely is divided by itself. */
function hasView({ sizes, strides }: Layout, wanted: readonly number[]): boolean {
  const axes = sizes.map((size, axis) => ({ size, stride: strides[axis]! })).filter(({ size }) => size !== 1);
  const left = wanted.filter((size) => size !== 1);
  let run = 1; // elements of the axes that lie densely, from the last on
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const { size, stride } = axes[axis]!;
    run *= size;
    const next = axes[axis - 1];
    if (next !== undefined && next.stride === size * stride) continue;
    while (run > 1 && left.length > 0 && run % left.at(-1)! === 0) run /= left.pop()!;
    if (run !== 1) return false;
  }
  return left.length === 0;
}
