/** What a layer is: a few nodes that it adds to the program of a model. */
import type { FloatArray } from '../../arrays.ts';
import type { Initializer } from './initializers.ts';
import type { CallArgument, ProgramBuilder, Value } from './program-builder.ts';

/** What a layer takes: sizes of a row, and names for those that may vary. */
export interface LayerInput {
  /** `float32` by default, which stands for the precision of the parameters. */
  readonly dtype?: 'float32' | 'int64';
  readonly shape: readonly (number | string)[];
}

/**
 * A layer of `Model.sequential`. `emit` adds its parameters and ATen calls to the program and returns its output.
 * A new layer is one function that returns such an object; see `linear.ts`.
 */
export interface Layer {
  /** The layer's name in `nn`, for error messages. */
  readonly kind: string;
  /** What `model.inputs` says where the layer is the first; `'any'` for one that keeps the shape of any tensor. */
  readonly takes?: LayerInput | 'any' | undefined;
  /** Adds the layer to a program whose value `x` it takes; returns the value of its output. */
  emit(scope: Scope, x: Value): Value;
}

/** A layer's view of the program being built: parameters get the layer's place as a prefix of their names. */
export class Scope {
  readonly #builder: ProgramBuilder;
  readonly #prefix: string;

  constructor(builder: ProgramBuilder, prefix: string) {
    this.#builder = builder;
    this.#prefix = prefix;
  }

  /** Adds a parameter, named `<place of the layer>.<name>` as in the state dict of PyTorch's `nn.Sequential`. */
  parameter(name: string, shape: readonly number[], initialize: Initializer): Value {
    return this.#builder.parameter(`${this.#prefix}${name}`, shape, initialize);
  }

  /** Adds a buffer, as a state dict has it, which is a constant: `initial` everywhere where the model is given no values. */
  buffer(name: string, shape: readonly number[], initial: number): Value {
    return this.#builder.constant(this.#builder.buffers.add(`${this.#prefix}${name}`, shape, initial), shape);
  }

  /** Says that state dicts have an entry of this name which the function does not depend on. */
  ignore(name: string): void {
    this.#builder.buffers.ignore(`${this.#prefix}${name}`);
  }

  /** Adds a constant that state dicts do not have. */
  constant(data: FloatArray, shape: readonly number[]): Value {
    return this.#builder.constant(data, shape);
  }

  /** Adds a call of the ATen operator `target`; arguments left out take their defaults. */
  call(target: string, ...args: readonly CallArgument[]): Value {
    return this.#builder.call(target, args);
  }

  /** The scope of the layer at `index` of a list of layers inside this one. */
  child(index: number): Scope {
    return new Scope(this.#builder, `${this.#prefix}${index}.`);
  }
}

/** Emits layers one after the other. */
export function emitChain(layers: readonly Layer[], scope: Scope, x: Value): Value {
  return layers.reduce((input, layer, index) => layer.emit(scope.child(index), input), x);
}
