/** Builds the straight-line program of a model, node by node. */
import type { RawArgument, RawNode, RawPort, RawProgram } from '../../addon/program.ts';
import type { RawTensor } from '../../addon/values.ts';
import { elementCount, type FloatArray } from '../../arrays.ts';
import { Buffers } from './buffers.ts';
import type { Initializer } from './initializers.ts';

/** A value of a program under construction. Its number is known once all parameters are. */
export class Value {
  readonly kind: 'parameter' | 'input' | 'constant' | 'node';
  readonly index: number;

  constructor(kind: Value['kind'], index: number) {
    this.kind = kind;
    this.index = index;
  }
}

/** What a call takes: values, lists of them, sizes of values, and constants of the operator's schema. */
export type CallArgument =
  | Value
  | readonly Value[]
  | { sizeOf: Value; axis: number }
  | number
  | boolean
  | string
  | null
  | readonly number[]
  | { float: number };

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialize: Initializer;
}

function isValues(argument: CallArgument): argument is readonly Value[] {
  return Array.isArray(argument) && argument[0] instanceof Value;
}

export class ProgramBuilder {
  readonly parameters: ParameterSpec[] = [];
  readonly buffers: Buffers;
  readonly #constants: RawTensor[] = [];
  readonly #nodes: { target: string; args: readonly CallArgument[] }[] = [];

  /** The model's input. */
  readonly input = new Value('input', 0);

  constructor(buffers: Buffers = new Buffers()) {
    this.buffers = buffers;
  }

  constant(data: FloatArray, shape: readonly number[]): Value {
    this.#constants.push({ data, shape });
    return new Value('constant', this.#constants.length - 1);
  }

  parameter(name: string, shape: readonly number[], initialize: Initializer): Value {
    elementCount(shape, `the shape of ${name}`);
    this.parameters.push({ name, shape, initialize });
    return new Value('parameter', this.parameters.length - 1);
  }

  call(target: string, args: readonly CallArgument[]): Value {
    this.#nodes.push({ target, args });
    return new Value('node', this.#nodes.length - 1);
  }

  /** The program, of which `input` is known. */
  finish(output: Value, input: RawPort): RawProgram {
    const inputs = this.parameters.length;
    const first = {
      parameter: 0,
      input: inputs,
      constant: inputs + 1,
      node: inputs + 1 + this.#constants.length,
    };
    const number = ({ kind, index }: Value): number => first[kind] + index;
    const raw = (argument: CallArgument): RawArgument => {
      if (argument instanceof Value) return { ref: number(argument) };
      if (isValues(argument)) return { refs: argument.map(number) };
      if (typeof argument === 'object' && argument !== null && 'sizeOf' in argument)
        return { size: { sizeOf: number(argument.sizeOf), axis: argument.axis } };
      return argument;
    };
    return {
      parameters: this.parameters.map(({ name, shape }) => ({ name, shape })),
      inputs: [input],
      constants: this.#constants,
      nodes: this.#nodes.map(({ target, args }): RawNode => ({ target, args: args.map(raw), outputs: 1 })),
      output: number(output),
    };
  }
}
