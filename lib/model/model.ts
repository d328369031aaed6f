/** Models: programs of ATen operators with named parameters. */

import { inspect } from 'node:util';
import { operation } from '../addon/operation.ts';
import type { RawLossProgram } from '../addon/operators.ts';
import type { ProgramRecord } from '../addon/program.ts';
import type { ProgramHandle, RawRequest } from '../addon/requests.ts';
import {
  type ArrayKind,
  type DType,
  describe,
  dtypeOf,
  elementCount,
  type FloatArray,
  floatArray,
  isFloatArray,
  type ParameterRecord,
  type ParameterVector,
  type ResultArray,
  type Tensor,
  write,
} from '../arrays.ts';
import {
  checkDType,
  checkFloats,
  checkOptions,
  checkTensor,
  checkVector,
  type OutOption,
  PRODUCT_OPTIONS,
  type ProductOptions,
} from '../check.ts';
import { TorchCurvatureError, wrongType } from '../errors.ts';
import { bufferOf, isList, lengthOf } from '../foreign.ts';
import { checkInside, guard, INSIDE, type Inside } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import { OptionNames, record } from '../options.ts';
import { createProgramSync } from './create-program.ts';
import { type FileSource, LOAD_OPTIONS, type LoadOptions, readModelFile } from './files/index.ts';
import { Generator } from './generator.ts';
import {
  checkArgument,
  checkInputs,
  firstRows,
  type InputSpecs,
  type Inputs,
  rowsOf,
  specsOf,
  type TensorSpec,
} from './inputs.ts';
import { Buffers } from './nn/buffers.ts';
import { checkLayers } from './nn/check-layers.ts';
import type { Initializer } from './nn/initializers.ts';
import { inputOf } from './nn/input.ts';
import { emitChain, type Layer, Scope } from './nn/layer.ts';
import { ProgramBuilder } from './nn/program-builder.ts';

/** A parameter and its place in the flat vector. */
export interface Parameter {
  /** As in `named_parameters()`. */
  readonly name: string;
  readonly shape: readonly number[];
  /** Where it begins in the flat vector. */
  readonly offset: number;
  /** How many elements it has there. */
  readonly length: number;
}

/** Of `Model.init`. */
export interface InitOptions {
  /** As in `torch.manual_seed(seed)`; 0 by default. */
  seed?: number | bigint;
  /** Draws from this generator instead, and moves it on. */
  generator?: Generator;
  /** `'float32'` by default; for a model from a file that of its own parameters. */
  dtype?: DType;
}

const INIT_OPTIONS = new OptionNames<InitOptions>({ seed: true, generator: true, dtype: true });

/** Of `Model.sequential`. */
export interface SequentialOptions {
  /**
   * The values of buffers by name, such as `1.running_mean`; a state dict may be given as it is (`loadSafetensors`). Its
   * parameters are for `flatten`.
   */
  buffers?: ParameterRecord;
}

const SEQUENTIAL_OPTIONS = new OptionNames<SequentialOptions>(
  { buffers: true },
  'the options of Model.sequential',
);

/** Parameters that `inspect` shows one by one. */
const MOST_SHOWN = 8;

/** What a model needs besides its program. */
export interface ModelOrigin {
  program: ProgramRecord;
  /** How each parameter is initialized; a model from a file has its own values instead. */
  initializers?: readonly Initializer[];
  initialParameters?: FloatArray;
  /** What a state dict of it has beside the parameters. */
  buffers?: Buffers;
  /** Whether its inputs have to be of the shapes and kinds that the program says. */
  exported?: boolean;
}

/**
 * A model as `Model.sequential` and `Model.load` make it. It holds no parameter values: products are told them. `Initial`
 * is what `init` gives unless it is told a precision.
 */
export class Model<Initial extends FloatArray = FloatArray> {
  /** In the order of PyTorch's `named_parameters()`, which is the order of flat vectors. */
  readonly parameters: readonly Parameter[];
  /** P, the length of flat vectors over the parameters. */
  readonly parameterCount: number;
  /** The parameters a model file brings, flat; undefined for a list of layers. */
  readonly initialParameters: ResultArray<Initial> | undefined;
  /**
   * The rows that the model runs at a time: those that its file was exported for. Data may have any multiple of it, and
   * each product is computed so many rows at a time, exactly; a `chunkSize` then bounds no more than that. `undefined`
   * where any number of rows goes, as for layers, TorchScript, and exports with a dynamic batch.
   */
  readonly batchSize: number | undefined;

  /**
   * What it takes. Of a model from a file that is as exported; of layers, what the first of them that needs a shape takes
   * (which may have further axes).
   */
  readonly inputs: readonly TensorSpec[];
  /**
   * What it returns, as exported, also where only one of several is computed (the option `output` of `Model.load`); of
   * layers, what they make of `inputs`.
   */
  readonly outputs: readonly TensorSpec[];

  readonly #handle: ProgramHandle;
  readonly #exported: boolean;
  readonly #buffers: Buffers;
  readonly #initializers: readonly Initializer[] | undefined;

  static {
    guard(Model, Model.is);
  }

  /** @internal Whether it is one, and no Proxy or heir of one. */
  static is(value: unknown): value is Model {
    return typeof value === 'object' && value !== null && #handle in value;
  }

  /** Used by `Model.sequential` and `Model.load`. */
  private constructor(key: Inside, origin: ModelOrigin) {
    checkInside(key, 'a Model comes from Model.sequential or Model.load');
    const { program, initializers, initialParameters, exported = false, buffers = new Buffers() } = origin;
    let offset = 0;
    this.parameters = Object.freeze(
      program.parameters.map(({ name, shape }) => {
        const length = elementCount(shape, `the shape of ${name}`);
        const parameter = Object.freeze({ name, shape: Object.freeze([...shape]), offset, length });
        offset += length;
        return parameter;
      }),
    );
    this.parameterCount = offset;
    this.initialParameters = initialParameters as ResultArray<Initial> | undefined;
    this.#initializers = initializers;
    this.batchSize = program.batch;
    this.inputs = specsOf(program.inputs);
    this.outputs = specsOf(program.outputs);
    this.#exported = exported;
    this.#buffers = buffers;
    this.#handle = program.handle;
  }

  /**
   * A model of layers, one after the other, as in PyTorch's `eval()`. Parameters are named as in the state dict of PyTorch's `nn.Sequential`:
   * `0.weight`, `0.bias`, `2.weight`, …
   */
  static sequential(layers: readonly Layer[], options?: SequentialOptions): Model<Float32Array> {
    const { buffers: given } = SEQUENTIAL_OPTIONS.read(options);
    const buffers = new Buffers(given === undefined ? {} : (record(given, 'buffers') as ParameterRecord));
    const builder = new ProgramBuilder(buffers);
    const checked = checkLayers(layers, 'Model.sequential');
    const output = emitChain(checked, new Scope(builder, ''), builder.input);
    return new Model(INSIDE, {
      program: createProgramSync(builder.finish(output, inputOf(checked))),
      initializers: builder.parameters.map(({ initialize }) => initialize),
      buffers,
    });
  }

  /**
   * A model of PyTorch from a file: what `torch.export.save` (`.pt2`) or `torch.jit.save` (`.pt`) wrote. It brings its
   * own parameters as `initialParameters` and takes any batch size that its export allows (`batchSize`); parameters
   * that do not require gradients are constants of it.
   *
   * @param source a path, or the file's bytes
   * @throws TorchCurvatureError `ERR_MODEL_LOAD` for a file that is missing, damaged or of another kind,
   * `ERR_UNSUPPORTED_OP` for a model with operators that are random, change their inputs or need control flow, and for one
   * that returns several tensors without the option `output`, `ERR_UNTRUSTED_MODEL` for TorchScript without
   * `{ trusted: true }`
   */
  static async load(source: FileSource, options?: LoadOptions): Promise<Model> {
    const { kind, program, initialParameters } = await readModelFile(source, LOAD_OPTIONS.read(options));
    return new Model(INSIDE, { program, initialParameters, exported: kind === 'pt2' });
  }

  /**
   * PyTorch's default initialization, flat: the numbers of the same layers made after `torch.manual_seed(seed)`. For a
   * model from a file, its own parameters in the precision asked for.
   */
  init(options: InitOptions & { dtype: 'float64' }): ResultArray<Float64Array>;
  init(options: InitOptions & { dtype: 'float32' }): ResultArray<Float32Array>;
  init(options?: InitOptions & { dtype?: undefined }): ResultArray<Initial>;
  init(options?: InitOptions): ResultArray<FloatArray>;
  init(options?: InitOptions): FloatArray {
    const { seed = 0, generator = new Generator(seed), dtype } = INIT_OPTIONS.read(options);
    const precision = checkDType(dtype ?? (this.initialParameters && dtypeOf(this.initialParameters)));
    if (!Generator.is(generator)) {
      throw wrongType(`generator should be a Generator, got ${describe(generator)}`);
    }
    const flat = floatArray(precision, this.parameterCount);
    if (this.#initializers === undefined) {
      flat.set(this.initialParameters!);
    } else {
      this.parameters.forEach(({ shape, offset }, index) => {
        flat.set(this.#initializers![index]!(shape, generator, precision), offset);
      });
    }
    return flat;
  }

  /**
   * One flat vector from one array for each parameter. Buffers that the model was made with may be among them.
   *
   * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when a parameter is missing, unknown or of another length,
   * `ERR_DTYPE_MISMATCH` when the arrays are not all of one kind
   */
  flatten<F extends FloatArray>(arrays: ParameterRecord<F>): ResultArray<ArrayKind<F>> {
    return this.#flatten(arrays, 'record') as ResultArray<ArrayKind<F>>;
  }

  #flatten(arrays: ParameterRecord, name: string): ResultArray<FloatArray> {
    record(arrays, name);
    const unknown = Object.keys(arrays).find(
      (key) =>
        !this.parameters.some((parameter) => parameter.name === key) && !this.#buffers.has(key, arrays[key]!),
    );
    if (unknown !== undefined) {
      throw new TorchCurvatureError(
        'ERR_SHAPE_MISMATCH',
        `${name} has an entry '${unknown}', which is no parameter`,
      );
    }
    const first = this.parameters.map((parameter) => arrays[parameter.name]).find(isFloatArray);
    const dtype = first === undefined ? 'float32' : dtypeOf(first);
    const flat = floatArray(dtype, this.parameterCount);
    for (const parameter of this.parameters) {
      if (!Object.hasOwn(arrays, parameter.name)) {
        throw new TorchCurvatureError(
          'ERR_SHAPE_MISMATCH',
          `${name} lacks the parameter '${parameter.name}'`,
        );
      }
      const array = checkVector(
        arrays[parameter.name],
        `${name}['${parameter.name}']`,
        parameter.length,
        dtype,
      );
      flat.set(array, parameter.offset);
    }
    return flat;
  }

  /** Views of a flat vector by parameter name; writing to one writes to the vector. */
  unflatten<Flat extends FloatArray>(flat: Flat): Record<string, Flat> {
    const checked = checkVector(flat, 'flat', this.parameterCount);
    const type = dtypeOf(checked) === 'float64' ? Float64Array : Float32Array;
    return Object.fromEntries(
      this.parameters.map(({ name, offset, length }) => [
        name,
        new type(
          bufferOf(checked) as ArrayBuffer,
          checked.byteOffset + offset * checked.BYTES_PER_ELEMENT,
          length,
        ) as Flat,
      ]),
    );
  }

  /** @internal A vector over the parameters as callers give it, made flat and checked. */
  toFlat(value: ParameterVector, name: string, dtype?: DType): FloatArray {
    const isRecord =
      typeof value === 'object' && value !== null && !ArrayBuffer.isView(value) && !isList(value);
    const flat = isRecord ? this.#flatten(value as ParameterRecord, name) : value;
    return checkVector(flat, name, this.parameterCount, dtype);
  }

  /** The outputs for a batch, [batch, …]; their data are `options.out` where given. */
  async forward<F extends FloatArray, Out extends FloatArray = ResultArray<ArrayKind<F>>>(
    params: ParameterVector<F>,
    x: Inputs,
    options?: ProductOptions<Out> & OutOption<ArrayKind<F>>,
  ): Promise<Tensor<Out>> {
    return Model.#forward.promised(this, params, x, options) as Promise<Tensor<Out>>;
  }

  /** `forward` on the calling thread. */
  forwardSync<F extends FloatArray, Out extends FloatArray = ResultArray<ArrayKind<F>>>(
    params: ParameterVector<F>,
    x: Inputs,
    options?: ProductOptions<Out> & OutOption<ArrayKind<F>>,
  ): Tensor<Out> {
    return Model.#forward.sync(this, params, x, options) as Tensor<Out>;
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'Model';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { parameterCount, batchSize, initialParameters } = this;
    const shapes = this.parameters.map(({ name, shape }) => [name, shape] as const);
    const fields = {
      parameterCount,
      parameters: Object.fromEntries(shapes.slice(0, MOST_SHOWN)),
      others: shapes.length > MOST_SHOWN ? shapes.length - MOST_SHOWN : undefined,
      inputs: this.inputs.map(({ name }) => name),
      batchSize,
      dtype: initialParameters && dtypeOf(initialParameters),
    };
    return inspected('Model', fields, how);
  }

  static readonly #forward = operation(
    (model: Model, params: ParameterVector, x: Inputs, options: ProductOptions | undefined) => {
      const { out, ...given } = PRODUCT_OPTIONS.read(options);
      const { signal, ...how } = checkOptions(given);
      const { request, describe } = model.request(params, x, how);
      // How many outputs there are is known when they are.
      const check = (length: number) => out && checkVector(out, 'out', length, dtypeOf(request.params));
      check(out === undefined ? 0 : lengthOf(checkFloats(out, 'out')));
      return {
        name: 'forward',
        request,
        signal,
        describe,
        result: ({ data, shape }): Tensor<FloatArray> => {
          const checked = check(data.length);
          if (checked !== undefined) write(checked, data as FloatArray);
          return { data: checked ?? (data as FloatArray), shape };
        },
      };
    },
  );

  /** @internal Checked arguments of an operation at a point, as the addon takes them. */
  request(
    params: ParameterVector,
    x: Inputs,
    how: { device: string; chunkSize: number; threads: number; engine: string },
  ): { request: RawRequest; batch: number; describe: () => object } {
    const flat = this.toFlat(params, 'params');
    const { inputs, batch } = checkInputs(x, this.#specs, dtypeOf(flat));
    const request: RawRequest = { program: this.#handle, params: flat, inputs, ...how };
    const describe = () => ({
      device: how.device,
      dtype: dtypeOf(flat),
      parameterCount: this.parameterCount,
      batch,
    });
    return { request, batch, describe };
  }

  /**
   * @internal The program as one that is called with tensors other than a problem's inputs, as losses are: at the parameters
   * that are given, or at those that its file brought.
   */
  called(params: ParameterVector | undefined, name: string, dtype: DType): RawLossProgram {
    if (params === undefined && this.initialParameters === undefined && this.parameterCount > 0) {
      throw wrongType(`${name}.params should be the parameters of ${name}.model, which brings none`);
    }
    const flat = params === undefined ? this.init({ dtype }) : this.toFlat(params, `${name}.params`, dtype);
    const sizes = (shape: TensorSpec['shape']) =>
      shape.map((size, axis) => (axis > 0 && typeof size === 'number' ? size : -1));
    return {
      program: this.#handle,
      params: flat,
      shapes: this.#exported ? this.inputs.map(({ shape }) => sizes(shape)) : [],
    };
  }

  /** @internal A checked copy of the tensor that `called` gets as its input of that number. */
  argument(value: unknown, index: number, name: string, dtype: DType): Tensor {
    if (typeof index !== 'number' || typeof name !== 'string')
      throw new TorchCurvatureError('ERR_INVALID_ARGUMENT', 'an argument is asked for by its place and name');
    const spec = this.inputs[index];
    return spec !== undefined && this.#typed
      ? checkArgument(value, spec, name, dtype)
      : checkTensor(value, name, dtype);
  }

  /** @internal The number of rows of data that are not checked yet; 0 where they are odd. */
  rowsOf(x: Inputs): number {
    return rowsOf(x, this.#specs);
  }

  /** @internal Data of another batch, checked. */
  inputsOf(x: Inputs, dtype: DType): Tensor[] {
    return checkInputs(x, this.#specs, dtype).inputs;
  }

  /** @internal The first rows of data that are not checked yet, where there are more. */
  firstRows(x: Inputs, rows: number): Inputs {
    return firstRows(x, this.#specs, rows);
  }

  /** A file has the kinds of its inputs, as far as it tells. */
  get #typed(): boolean {
    return this.#initializers === undefined;
  }

  get #specs(): InputSpecs {
    const { inputs, batchSize } = this;
    return { inputs, batchSize, exported: this.#exported, typed: this.#typed };
  }
}
