/** Reads the model, the data and the loss that options name. */
import type { FloatArray, Model, ParameterVector, Tensor, TensorSpec } from '../index.ts';
import { floatsOf, readArray, readFloats } from './arrays.ts';
import { UsageError } from './failure.ts';
import { readModel } from './model-file.ts';
import { isModelFile, type ProblemOptions } from './problem-options.ts';

/** A model with its data, as factories take it. */
export interface GivenProblem {
  model: Model;
  params: ParameterVector;
  x: Tensor | Tensor[];
  target?: Tensor;
  loss?: string | object;
  l2?: number;
  reduction?: string;
}

/** Reads what the options name; layers without parameters of their own get them in the precision of the inputs. */
export async function readProblem(options: ProblemOptions): Promise<GivenProblem> {
  const model = await readModel(options.model, options.trusted ?? false);
  const given = await eachInTurn(options.x, readArray);
  const inputs = given.map((input, index) => asInput(input, model.inputs[index]));
  const params = await parametersOf(model, inputs, options);
  const { l2, reduction, target } = options;
  const loss = options.loss === undefined ? undefined : await readLoss(options.loss, options);
  const wanted = typeof loss === 'object' && 'inputs' in loss ? loss.inputs[1] : undefined;
  return {
    ...{ model, params, x: inputs.length === 1 ? inputs[0]! : inputs },
    ...(loss !== undefined && { loss }),
    ...(l2 !== undefined && { l2 }),
    ...(reduction !== undefined && { reduction }),
    ...(target !== undefined && { target: asInput(await readArray(target), wanted) }),
  };
}

/** Files of small integers are read as `Int32Array`: bytes for an input that takes these. */
function asInput(input: Tensor, spec: TensorSpec | undefined): Tensor {
  const { data, shape } = input;
  const most = { bool: 1, uint8: 255 }[spec?.dtype ?? ''];
  if (most === undefined || !(data instanceof Int32Array)) return input;
  if (!data.every((each) => each >= 0 && each <= most)) return input;
  return { data: Uint8Array.from(data), shape };
}

/** A loss by its name, with its options where there are some, or as a model. */
async function readLoss(loss: string, { lossOption, trusted = false }: ProblemOptions) {
  if (isModelFile(loss)) return readModel(loss, trusted);
  if (lossOption === undefined) return loss;
  const values = await eachInTurn(
    Object.entries(lossOption),
    async ([name, value]) => [name, await optionValue(value)] as const,
  );
  return { name: loss, ...Object.fromEntries(values) };
}

/** One after another: of several files that are missing, it is the first that is named. */
async function eachInTurn<From, To>(values: readonly From[], read: (value: From) => Promise<To>) {
  const found: To[] = [];
  for (const value of values) found.push(await read(value));
  return found;
}

/** `true`, a number, or the array in a file. */
async function optionValue(text: string): Promise<boolean | number | FloatArray | Tensor> {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text.trim() !== '' && !Number.isNaN(Number(text))) return Number(text);
  const array = await readArray(text);
  return array.shape.length === 1 ? floatsOf(array, text) : array;
}

async function parametersOf(
  model: Model,
  inputs: readonly Tensor[],
  { params, dtype, seed }: ProblemOptions,
): Promise<ParameterVector> {
  if (params !== undefined) {
    const given = await readFloats(params);
    return 'record' in given ? given.record : given.data;
  }
  if (model.initialParameters !== undefined) {
    return dtype === undefined ? model.initialParameters : model.init({ dtype });
  }
  if (seed === undefined) {
    throw new UsageError(
      'a layer list carries no weights: give --params FILE, or --seed N to initialize them',
    );
  }
  const isDouble = inputs.some(({ data }) => data instanceof Float64Array);
  return model.init({ seed, dtype: dtype ?? (isDouble ? 'float64' : 'float32') });
}
