/** Buffers that a model changes when it runs, as decomposed graphs give them: as results beside its own. */
import { unsupported } from './failure.ts';
import { asList, asObject, asString, type Json } from './json.ts';
import { withoutTokens } from './pt2-effects.ts';
import { isWrite, namesIn } from './pt2-graph.ts';

/** They look at the shape and kind of their first argument alone. */
const LOOKS = /^torch\.ops\.aten\.(copy|fill|\w+_like)\./;

/**
 * Requires that a result of the graph is the same in each run, though the model changes some buffers: it does not read
 * what they were before.
 *
 * @param buffers their names in the graph, with their own
 * @throws TorchCurvatureError `ERR_UNSUPPORTED_OP`
 */
export function requireNoState(graph: Json, output: string, buffers: ReadonlyMap<string, string>): void {
  if (buffers.size === 0) return;
  const read = new Set([output]);
  const nodes = asList(graph.nodes, 'nodes').map((node) => withoutTokens(asObject(node, 'a node')));
  for (const node of nodes.toReversed()) {
    const target = asString(node.target, 'the target of a node');
    if (!isWrite(node, target) && !namesIn(node.outputs).some((name) => read.has(name))) continue;
    const inputs = asList(node.inputs, `the inputs of ${target}`);
    const data = LOOKS.test(target) ? inputs.slice(1) : inputs;
    for (const name of namesIn(data)) read.add(name);
  }
  const carried = [...buffers].filter(([name]) => read.has(name));
  if (carried.length === 0) return;
  const names = carried.map(([, name]) => name).join(', ');
  throw unsupported(`the model changes ${names} when it runs (buffer_mutation); export it after eval()`);
}
