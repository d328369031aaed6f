/** The cases of test/fixtures/losses as problems. */
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type FloatArray, type LossProblem, Model, type Tensor } from '../../lib/index.ts';
import { modelOf, type OptionsCase, tensorOf } from './models.ts';

export type Kind = new (values: ArrayLike<number>) => FloatArray;

const FOLDER = new URL('../fixtures/losses/', import.meta.url);
const load = (name: string) => Model.load(fileURLToPath(new URL(`${name}.pt2`, FOLDER)));
/** Losses and samplers that are programs, by name. */
export const PROGRAMS = new Map(
  await Promise.all(
    readdirSync(FOLDER).map(async (file) => {
      const name = file.replace('.pt2', '');
      return [name, await load(name)] as const;
    }),
  ),
);

/** Lists are typed arrays, lists of lists tensors; programs are models. */
function optionsOf(loss: OptionsCase['loss'], kind: Kind): LossProblem['loss'] {
  const model = PROGRAMS.get(loss.name);
  if (model !== undefined) {
    const { sampler } = loss;
    return sampler === undefined ? model : { model, sampler: PROGRAMS.get(sampler as string)! };
  }
  const converted = Object.entries(loss).map(([name, value]) => {
    if (!Array.isArray(value)) return [name, value];
    if (!Array.isArray(value[0])) return [name, new kind(value)];
    return [name, { data: new kind(value.flat()), shape: [value.length, value[0].length] }];
  });
  return Object.fromEntries(converted) as { name: 'mse' };
}

export function lossProblemOf(each: OptionsCase, kind: Kind = Float64Array): LossProblem & { x: Tensor } {
  const convert = (tensor: Tensor): Tensor =>
    tensor.data instanceof Float64Array ? { ...tensor, data: new kind(tensor.data) } : tensor;
  return {
    model: modelOf(each),
    params: new kind(each.params),
    x: convert(tensorOf(each.x)),
    ...(each.target && { target: convert(tensorOf(each.target)) }),
    loss: optionsOf(each.loss, kind),
  };
}
