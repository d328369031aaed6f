/** Builds the straight-line program of a model, node by node. */
import type { RawArgument, RawNode, RawPort, RawProgram } from '../../addon/program.ts';
import { elementCount } from '../../arrays.ts';
import type { Initialiser } from './initialisers.ts';

/** A value of a program under construction. Its number is known once all parameters are. */
export class Value {
  readonly kind: 'parameter' | 'input' | 'node';
  readonly index: number;

  constructor(kind: Value['kind'], index: number) {
    this.kind = kind;
    this.index = index;
  }
}

/** What a call takes: values, and constants of the operator's schema. */
export type CallArgument = Value | number | boolean | string | null | readonly number[] | { float: number };

export interface ParameterSpec {
  readonly name: string;
  readonly shape: readonly number[];
  readonly initialize: Initialiser;
}

export class ProgramBuilder {
  readonly parameters: ParameterSpec[] = [];
  readonly #nodes: { target: string; args: readonly CallArgument[] }[] = [];

  /** The model's input. */
  readonly input = new Value('input', 0);

  parameter(name: string, shape: readonly number[], initialize: Initialiser): Value {
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
    const firstNode = this.parameters.length + 1;
    const number = ({ kind, index }: Value): number =>
      ({ parameter: 0, input: this.parameters.length, node: firstNode })[kind] + index;
    const raw = (argument: CallArgument): RawArgument =>
      argument instanceof Value ? { ref: number(argument) } : argument;
    return {
      parameters: this.parameters.map(({ name, shape }) => ({ name, shape })),
      inputs: [input],
      constants: [],
      nodes: this.#nodes.map(({ target, args }): RawNode => ({ target, args: args.map(raw), outputs: 1 })),
      output: number(output),
    };
  }
}
