/** The experiment that `bench` runs: a tanh MLP, a batch and a vector, drawn as PyTorch draws them. */
import {
  type FloatArray,
  Generator,
  Model,
  matvecDenseSync,
  matvecOnTheFlySync,
  nn,
  type Problem,
} from '../../index.ts';
import type { Dtype } from '../options.ts';

export interface ExperimentSpec {
  inputs: number;
  outputs: number;
  /** Width of each hidden layer. */
  hidden: number;
  /** How many hidden layers. */
  layers: number;
  batch: number;
  dtype: Dtype;
  device: string;
  seed: number;
  threads?: number;
  chunkSize?: number;
}

export const METHODS = ['dense', 'onTheFly'] as const;
export type Method = (typeof METHODS)[number];

/** How tables and files call the two products. */
export const METHOD_TITLES: Record<Method, string> = { dense: 'Dense', onTheFly: 'On-The-Fly' };

export interface Experiment {
  spec: ExperimentSpec;
  problem: Problem;
  v: FloatArray;
  /** Runs one product on the calling thread. */
  run(method: Method): FloatArray;
}

/** Widths of all layers, `[4, 64, 64, 1]`. */
function widths({ inputs, hidden, layers, outputs }: ExperimentSpec): number[] {
  return [inputs, ...new Array<number>(layers).fill(hidden), outputs];
}

/** `4-64-64-1 tanh` */
export function modelName(spec: ExperimentSpec): string {
  return `${widths(spec).join('-')} tanh`;
}

export function parameterCount(spec: ExperimentSpec): number {
  const sizes = widths(spec);
  return sizes.slice(1).reduce((sum, width, layer) => sum + width * (sizes[layer]! + 1), 0);
}

/**
 * One generator gives, in this order, the model's initial parameters, `x = randn(batch, inputs)` and one `randn` for
 * each parameter: the numbers of a PyTorch script that does the same after `torch.manual_seed`.
 */
export function createExperiment(spec: ExperimentSpec): Experiment {
  const model = createModel(spec);
  const { dtype, device, threads, chunkSize } = spec;
  const generator = new Generator(spec.seed);
  const params = model.init({ generator, dtype });
  const x = generator.randn([spec.batch, spec.inputs], { dtype });
  const v = model.flatten(
    Object.fromEntries(
      model.parameters.map(({ name, shape }) => [name, generator.randn(shape, { dtype }).data]),
    ),
  );
  const problem: Problem = { model, params, x };
  const options = {
    device,
    ...(threads === undefined ? {} : { threads }),
    ...(chunkSize === undefined ? {} : { chunkSize }),
  };
  const products: Record<Method, () => FloatArray> = {
    dense: () => matvecDenseSync(problem, v, options),
    onTheFly: () => matvecOnTheFlySync(problem, v, options),
  };
  return { spec, problem, v, run: (method) => products[method]() };
}

function createModel(spec: ExperimentSpec): Model {
  const sizes = widths(spec);
  const layers = sizes.slice(1).flatMap((width, index) => {
    const linear = nn.linear(sizes[index]!, width);
    return index === sizes.length - 2 ? [linear] : [linear, nn.tanh()];
  });
  return Model.sequential(layers);
}
