/**
 * Effects in the order of a decomposed graph: prints, assertions, checks of a factorization. A node that has one takes a
 * token and gives the next; values of the model do not depend on tokens.
 */
import { damaged } from './failure.ts';
import { asList, asObject, asString, type Json, tagged } from './json.ts';

const WITH_EFFECTS = 'torch.ops.higher_order.with_effects';

/** The call that a node with an effect makes, without the tokens; another node as it is. */
export function withoutTokens(node: Json): Json {
  if (node.target !== WITH_EFFECTS) return node;
  const [, operator, ...inputs] = asList(node.inputs, `the inputs of ${WITH_EFFECTS}`);
  const [tag, target] = tagged(asObject(operator, WITH_EFFECTS).arg, WITH_EFFECTS);
  if (tag !== 'as_operator') throw damaged(`${WITH_EFFECTS} is given no operator`);
  const [, ...outputs] = asList(node.outputs, `the outputs of ${WITH_EFFECTS}`);
  return { ...node, target: asString(target, `the operator of ${WITH_EFFECTS}`), inputs, outputs };
}
