/** Operators that give their argument itself where they have nothing to do, not a view of it. */
import type { RawNode } from '../../addon/program.ts';
import { asObject } from './json.ts';
import { elementType } from './pt2-archive.ts';

/** Where their result shares memory with the argument. */
const BY_LAYOUT = /^aten::(contiguous|to|type_as|resolve_conj|resolve_neg|flatten)(\.|$)/;

/** Where it has the type and as many axes. */
const BY_KIND = /^aten::(positive|real|conj|conj_physical|atleast_[123]d|lift_fresh)(\.|$)/;

/** Where they do not train; whether they do is their third argument. */
const DROPOUT = /^aten::(feature_)?(alpha_)?dropout$/;

/** Whether the result of a node is its first argument, both described by the graph. */
export function returnsItself(node: RawNode, argument: unknown, result: unknown): boolean {
  const { target, args, kwargs, sharesMemory } = node;
  if (DROPOUT.test(target)) return (args[2] ?? kwargs?.train) === false;
  const byLayout = BY_LAYOUT.test(target) && sharesMemory === true;
  if (!byLayout && !BY_KIND.test(target)) return false;
  const [from, to] = [kindOf(argument), kindOf(result)];
  if (from === undefined || to === undefined) return false;
  const conjugates = target.startsWith('aten::conj') && from.type.startsWith('complex');
  return !conjugates && from.type === to.type && from.axes === to.axes;
}

function kindOf(described: unknown): { type: string; axes: number } | undefined {
  if (described === undefined) return undefined;
  const { dtype, sizes } = asObject(described, 'a description');
  return Array.isArray(sizes) ? { type: elementType(dtype), axes: sizes.length } : undefined;
}
