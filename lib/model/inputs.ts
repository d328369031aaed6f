/** What callers give a model: one tensor, several in order, or several by name. */
import { types } from 'node:util';
import type { RawPort } from '../addon/program.ts';
import { type DType, describe, describeShape, isFloatArray, sizesOf, type Tensor } from '../arrays.ts';
import { checkTensor } from '../check.ts';
import { TorchCurvatureError } from '../errors.ts';
import { isList, isRevoked, lengthOf, listOf } from '../foreign.ts';
import { HeldTensor } from '../problem/held-tensor.ts';

/**
 * The data of a model: a tensor, or, where it takes several, a list of them in order or a record by name
 * (`model.inputs`). The first axis of those that have rows is the batch; the others are the same for all rows.
 */
export type Inputs = Tensor | readonly Tensor[] | { readonly [name: string]: Tensor };

/** What a model takes or returns, as it was exported. */
export interface TensorSpec {
  readonly name: string;
  /**
   * As in PyTorch: `float32`, `int64`, `bool`, …; `undefined` where it is not known. Floating numbers are of the
   * precision of `params` in every product.
   */
  readonly dtype: string | undefined;
  /**
   * Sizes, and names of those that vary: `'batch'` for the rows, those of the export's symbols for others, `'any'` for a
   * size without a name, and `'...'` for any number of axes.
   */
  readonly shape: readonly (number | string)[];
}

/** What a model takes. */
export interface InputSpecs {
  readonly inputs: readonly TensorSpec[];
  /** The rows that it was exported for, where it takes no other number at a time. */
  readonly batchSize: number | undefined;
  /** Whether the sizes are requirements: those of an export are, those of layers are examples. */
  readonly exported: boolean;
  /** Whether the kinds are: those of files are. */
  readonly typed: boolean;
}

/** Frozen copies of what the addon tells. */
export function specsOf(ports: readonly RawPort[]): readonly TensorSpec[] {
  return Object.freeze(
    ports.map(({ name, dtype, shape }) => Object.freeze({ name, dtype, shape: Object.freeze([...shape]) })),
  );
}

/** Whether it is a record of tensors by name, and no tensor itself. */
export function isNamed(x: unknown): x is Record<string, Tensor> {
  if (typeof x !== 'object' || x === null || isRevoked(x) || isList(x) || ArrayBuffer.isView(x)) return false;
  return !('data' in x) && !('shape' in x);
}

/** What is given, in the order of the inputs, whatever is there; nothing where the names or their number do not fit. */
function inOrder(x: unknown, inputs: readonly TensorSpec[]): readonly unknown[] | undefined {
  if (isList(x)) return listOf(x, 'x');
  if (!isNamed(x)) return [x];
  const names = inputs.map(({ name }) => name);
  if (Object.keys(x).some((key) => !names.includes(key))) return undefined;
  return names.every((name) => Object.hasOwn(x, name)) ? names.map((name) => x[name]) : undefined;
}

function hasRows({ shape }: TensorSpec): boolean {
  return shape[0] === 'batch';
}

/** Checked copies of the inputs in their order, and the number of rows. */
export function checkInputs(x: Inputs, specs: InputSpecs, dtype: DType): { inputs: Tensor[]; batch: number } {
  const { inputs: expected } = specs;
  const given = inOrder(x, expected);
  if (given?.length !== expected.length) {
    const names = expected.map(({ name }) => name).join(', ');
    const got = given === undefined ? Object.keys(x).join(', ') || 'an empty object' : `${given.length}`;
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      expected.length === 1
        ? `x should be one tensor${isNamed(x) ? ` or { ${names} }` : ''}, got ${got}`
        : `x should be a list of ${expected.length} tensors (${names}) or a record { ${names} }, got ${got}`,
    );
  }
  const nameOf = (index: number) => {
    if (isNamed(x)) return `x.${expected[index]!.name}`;
    return isList(x) ? `x[${index}]` : 'x';
  };
  const inputs = given.map((input, index) => {
    const tensor = checkTensor(input, nameOf(index), dtype, { bytes: true });
    if (specs.typed) checkKind(tensor, expected[index]!, nameOf(index));
    return tensor;
  });
  const batch = checkBatch(inputs, specs);
  if (specs.exported) checkExportedShapes(inputs, specs, batch);
  return { inputs, batch };
}

const FLOATS = { is: isFloatArray, what: 'a Float32Array or Float64Array' };

/** The kinds of array that an input of a dtype is taken from; any for those that are not here. */
const KINDS: Readonly<Record<string, { is: (data: unknown) => boolean; what: string }>> = {
  float16: FLOATS,
  bfloat16: FLOATS,
  float32: FLOATS,
  float64: FLOATS,
  int32: { is: isInteger, what: 'an Int32Array' },
  int64: { is: isInteger, what: 'a BigInt64Array or an Int32Array' },
  bool: { is: types.isUint8Array, what: 'a Uint8Array of zeros and ones' },
  uint8: { is: types.isUint8Array, what: 'a Uint8Array' },
};

function isInteger(data: unknown): boolean {
  return types.isInt32Array(data) || types.isBigInt64Array(data);
}

/**
 * Throws unless the array is of a kind that the input is taken from. Bytes stand for numbers or for truth values, so it has to
 * be known which: `~` and masks are different for them.
 */
function checkKind(tensor: Tensor, { name, dtype }: TensorSpec, given: string): void {
  const data = HeldTensor.is(tensor) ? tensor.sample : tensor.data;
  if (dtype === undefined && types.isUint8Array(data)) {
    const key = /^[A-Za-z_]\w*$/.test(name) ? name : `'${name}'`;
    throw new TorchCurvatureError(
      'ERR_DTYPE_MISMATCH',
      `${given}.data is a Uint8Array, and TorchScript does not tell whether ${name} is of truth values or of bytes; ` +
        `pass Model.load(file, { trusted: true, inputs: { ${key}: 'bool' } }), or 'uint8'`,
    );
  }
  const kind = dtype === undefined ? undefined : KINDS[dtype];
  if (kind === undefined || kind.is(data)) return;
  throw new TorchCurvatureError(
    'ERR_DTYPE_MISMATCH',
    `${given}.data should be ${kind.what}, as the model was exported for ${name} of ${dtype}, got ${describe(data)}`,
  );
}

/** A checked copy of a tensor that a program from a file is called with, as losses are with targets. */
export function checkArgument(value: unknown, spec: TensorSpec, name: string, dtype: DType): Tensor {
  const tensor = checkTensor(value, name, dtype, { bytes: true });
  checkKind(tensor, spec, name);
  return tensor;
}

/** The number of rows, which all inputs that have rows should have. */
function checkBatch(inputs: readonly Tensor[], { inputs: expected, batchSize }: InputSpecs): number {
  const rows = inputs.filter((_, index) => hasRows(expected[index]!)).map(({ shape }) => shape[0]);
  const batch = Math.max(...rows.map((each) => each ?? -1));
  // Of a fixed batch it is not known which inputs have rows: what has as many as it was exported for is whole.
  if (rows.every((each) => each === batch || (each !== undefined && each === batchSize))) return batch;
  throw new TorchCurvatureError(
    'ERR_SHAPE_MISMATCH',
    `the first axis of x should be the batch, got the shape ${inputs.map((each) => describeShape(each.shape)).join(', ')}`,
  );
}

/** Sizes that the export took for constants must be those, and those of one name one size: the graph may compute with them. */
function checkExportedShapes(
  inputs: readonly Tensor[],
  { inputs: expected, batchSize }: InputSpecs,
  batch: number,
): void {
  const sizes = new Map<string, number>();
  expected.forEach(({ name, shape }, index) => {
    const given = inputs[index]!.shape;
    const fits = (size: number | string, axis: number) => {
      if (typeof size === 'number') return size === given[axis];
      if (!/^\w+$/.test(size) || (size === 'batch' && batchSize !== undefined)) return true;
      if (!sizes.has(size)) sizes.set(size, given[axis]!);
      return sizes.get(size) === given[axis];
    };
    if (given.length === shape.length && shape.every(fits)) return;
    const where = [...sizes].filter(([symbol]) => shape.includes(symbol)).map((known) => known.join(' = '));
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `x does not fit the model: it was exported for ${name} of the shape [${shape.join(', ')}]` +
        `${given.length === shape.length && where.length > 0 ? ` with ${where.join(', ')}` : ''}, got ${describeShape(given)}`,
    );
  });
  if (batch % (batchSize ?? 1) === 0) return;
  const names = expected.map(({ name }) => name);
  throw new TorchCurvatureError(
    'ERR_SHAPE_MISMATCH',
    `x should have a multiple of ${batchSize} rows, which the model was exported for, got ${batch}; ` +
      `for any number of rows, export it with torch.export.export(model, (${names.join(', ')},), ` +
      `dynamic_shapes={${expected.map((each) => `'${each.name}': ${hasRows(each) ? "{0: torch.export.Dim('batch')}" : 'None'}`).join(', ')}}), ` +
      `from an example of at least 2 rows${names.some((name) => name.includes('_')) ? IN_STRUCTURES : ''}`,
  );
}

/** Exports name what `*pairs` holds `pairs_0`, `pairs_1`, …, which no argument is called. */
const IN_STRUCTURES =
  "; what is in *args, a list or a dictionary has dynamic_shapes of the same structure: {'pairs': ({0: …}, {0: …})} for *pairs";

/** The number of rows of what may be no valid data; 0 where it is not. */
export function rowsOf(x: Inputs, { inputs }: InputSpecs): number {
  const first = inOrder(x, inputs)?.[inputs.findIndex(hasRows)];
  if (isRevoked(first)) return 0;
  const { shape } = Object(first) as Partial<Tensor>;
  return Number(isList(shape) ? shape[0] : 0) || 0;
}

/** The inputs for the first rows, in the form in which they are given; what is no valid input, or has no more rows, as it is. */
export function firstRows(x: Inputs, { inputs }: InputSpecs, rows: number): Inputs {
  const given = inOrder(x, inputs);
  if (given === undefined) return x;
  const first = (input: unknown, index: number): Tensor => {
    const { data, shape } = (isRevoked(input) ? {} : Object(input)) as Tensor;
    const [batch = 0, ...row] = isList(shape) ? sizesOf(shape, 'a shape of x') : [];
    const spec = inputs[index];
    const cuts = spec !== undefined && hasRows(spec) && types.isTypedArray(data);
    if (!cuts || typeof batch !== 'number' || !(batch > rows) || lengthOf(data) % batch !== 0)
      return input as Tensor;
    return { data: data.subarray(0, (lengthOf(data) / batch) * rows), shape: [rows, ...row] };
  };
  const few = given.map(first);
  if (isList(x)) return few;
  return isNamed(x) ? Object.fromEntries(inputs.map(({ name }, index) => [name, few[index]!])) : few[0]!;
}
