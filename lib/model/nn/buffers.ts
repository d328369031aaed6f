/** Values that a state dict has beside the parameters: running statistics. They are constants of the program. */
import {
  copyOf,
  describe,
  describeShape,
  elementCount,
  type FloatArray,
  floatArray,
  isFloatArray,
  type ParameterRecord,
  type TypedArray,
} from '../../arrays.ts';
import { TorchCurvatureError } from '../../errors.ts';
import { lengthOf } from '../../foreign.ts';

export class Buffers {
  readonly #given: ParameterRecord;
  readonly #values = new Map<string, FloatArray>();
  /** Entries of state dicts that say nothing of the function: how many batches were seen. */
  readonly #ignored = new Set<string>();

  /** `given` are the values by name, as of a state dict; other entries are not looked at. */
  constructor(given: ParameterRecord = {}) {
    this.#given = given;
  }

  /** A copy of the value of a buffer, or `initial` everywhere where none is given. */
  add(name: string, shape: readonly number[], initial: number): FloatArray {
    const count = elementCount(shape, `the shape of ${name}`);
    const given: unknown = Object.hasOwn(this.#given, name) ? this.#given[name] : undefined;
    if (given === undefined) {
      const value = floatArray('float64', count).fill(initial);
      this.#values.set(name, value);
      return value;
    }
    if (!isFloatArray(given) || lengthOf(given) !== count) {
      throw new TorchCurvatureError(
        'ERR_SHAPE_MISMATCH',
        `buffers['${name}'] should be a Float32Array or Float64Array of the shape ${describeShape(shape)}, got ${describe(given)}`,
      );
    }
    const value = copyOf(given);
    this.#values.set(name, value);
    return value;
  }

  ignore(name: string): void {
    this.#ignored.add(name);
  }

  /**
   * Whether an entry of a record of parameters is a buffer of the model's.
   *
   * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` where its values are not those that the model was made with
   */
  has(name: string, array: TypedArray): boolean {
    if (this.#ignored.has(name)) return true;
    const value = this.#values.get(name);
    if (value === undefined) return false;
    const same =
      isFloatArray(array) && lengthOf(array) === value.length && value.every((each, i) => each === array[i]);
    if (same) return true;
    throw new TorchCurvatureError(
      'ERR_SHAPE_MISMATCH',
      `record['${name}'] has other values than the buffer of the model; make the model with those of the state dict: ` +
        'Model.sequential(layers, { buffers: stateDict })',
    );
  }
}
