/** Reads the model, the data and the loss that options name. */
import { type FloatArray, Model, type ParameterVector, type Tensor, type TensorSpec } from '../index.ts';
import type { ReadTensor } from '../model/files/read-tensor.ts';
import { floatsOf, readArray, readFloats } from './arrays.ts';
import { UsageError } from './failure.ts';
import { forArrays, readModel } from './model-file.ts';
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
  const { l2, reduction, trusted = false } = options;
  const read = await readModel(options.model, trusted);
  const arrays = await eachInTurn(options.x, readArray);
  const model = await forArrays(read, options.model, trusted, arrays);
  const inputs = arrays.map((array, index) => asInput(array, model.inputs[index]));
  const params = await parametersOf(model, inputs, options);
  return {
    ...{ model, params, x: inputs.length === 1 ? inputs[0]! : inputs },
    ...(await lossAndTarget(options)),
    ...(l2 !== undefined && { l2 }),
    ...(reduction !== undefined && { reduction }),
  };
}

async function lossAndTarget({ loss: name, target: place, ...options }: ProblemOptions) {
  const loss = name === undefined ? undefined : await readLoss(name, options);
  if (place === undefined) return { ...(loss !== undefined && { loss }) };
  const target = await readArray(place);
  if (!(loss instanceof Model)) return { ...(loss !== undefined && { loss }), target };
  const forTarget = await forArrays(loss, name!, options.trusted ?? false, [undefined, target]);
  return { loss: forTarget, target: asInput(target, forTarget.inputs[1]) };
}

/** Whole numbers for an input of bytes that could be these. */
function asInput(input: ReadTensor, spec: TensorSpec | undefined): ReadTensor {
  const { data, shape } = input;
  const most = { bool: 1, uint8: 255 }[spec?.dtype ?? ''];
  if (most === undefined || !(data instanceof Int32Array)) return input;
  if (!data.every((each) => each >= 0 && each <= most)) return input;
  return { data: Uint8Array.from(data), shape };
}

/** A loss by its name, with its options where there are some, or as a model. */
async function readLoss(
  loss: string,
  { lossOption, trusted = false }: Pick<ProblemOptions, 'lossOption' | 'trusted'>,
) {
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
