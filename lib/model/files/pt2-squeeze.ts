/** `squeeze` drops the axes that are 1 in the graph, not those that are 1 in some batch: that of a single row stays. */
import type { RawArgument, RawNode } from '../../addon/program.ts';
import { asList, asObject, tagged } from './json.ts';

const SQUEEZE = /^(aten::squeeze(?:_|_copy)?)(?:\.dims?)?$/;

/** The same for any batch, where the graph describes the argument and the result. */
export function squeezedAlike(node: RawNode, argument: unknown, result: unknown): RawNode {
  const operator = SQUEEZE.exec(node.target)?.[1];
  const [value, given] = [node.args[0], node.args[1] ?? node.kwargs?.dim];
  if (operator === undefined || value === undefined || argument === undefined || result === undefined)
    return node;
  const sizes = asList(asObject(argument, 'a description').sizes, 'sizes');
  const left = asList(asObject(result, 'a description').sizes, 'sizes').length;
  const axes = sizes.flatMap((size, axis) => (isOne(size) && names(given, axis, sizes.length) ? [axis] : []));
  return axes.length === sizes.length - left
    ? { ...node, target: `${operator}.dims`, args: [value, axes], kwargs: {} }
    : node;
}

function isOne(size: unknown): boolean {
  const [kind, value] = tagged(size, 'a size');
  return kind === 'as_int' && value === 1;
}

/** Whether one or several axes, which may count from the end, name this one; none are all. */
function names(given: RawArgument | undefined, axis: number, count: number): boolean {
  if (given === undefined) return true;
  const listed: readonly unknown[] = Array.isArray(given) ? given : [given];
  return listed.some((each) => each === axis || each === axis - count);
}
