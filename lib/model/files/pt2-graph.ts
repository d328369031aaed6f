/** The nodes of an exported graph as nodes of a program. */
import type { RawArgument, RawNode, RawSize } from '../../addon/program.ts';
import { damaged, requireFewNodes, unsupported } from './failure.ts';
import { asCount, asList, asObject, asString, type Json, tagged } from './json.ts';
import { elementType } from './pt2-archive.ts';
import { withoutTokens } from './pt2-effects.ts';
import { returnsItself } from './pt2-identities.ts';
import { elementsInOrder, sharesMemory } from './pt2-layout.ts';
import { sizeFunction } from './pt2-sizes.ts';
import { squeezedAlike } from './pt2-squeeze.ts';
import { isWithin, readStrided, writeStrided } from './pt2-strided.ts';
import { type ElementType, scalarTypeNumber } from './stored-tensor.ts';
import type { Turns } from './turns.ts';

/** Checks that exporting left in the graph; they compute nothing. */
const CHECKS = /^torch\.ops\.aten\.(_assert_\w+|sym_constrain_range\w*|_functional_assert_\w+)\./;

/** A part of the graph that runs with gradients switched on or off, or in other precisions on some device. */
const REGION = /^torch\.ops\.higher_order\.wrap_with_(set_grad_enabled|autocast)$/;

/** An operator that writes to an argument, by its name: it is needed though nobody reads its result. */
const WRITES = /^torch\.ops\.\w+\.(\w*[A-Za-z0-9]_(\.\w+)?|__i[a-z]+__\.\w+|\w+\.(\w+_)?out)$/;

/** One of those that gives what it wrote to: its first argument. */
const IN_PLACE = /^torch\.ops\.aten\.(\w*[A-Za-z0-9]_(\.\w+)?|__i[a-z]+__\.\w+)$/;

/** Regions inside regions. */
const DEEPEST = 32;

/** They read memory by places of their own. */
const BY_STRIDES = /^aten::as_strided(_copy|_scatter)?$/;

/** They make tensors out of nothing, in float32 unless they are told otherwise. */
const FACTORIES = /^aten::(zeros|ones|full|eye|linspace|arange|scalar_tensor)(\.|$)/;

/** They make tensors without values, of the type of another where they are not told otherwise. */
const EMPTY = /^aten::(empty|new_empty)/;

/** They choose by whole numbers, which are no operands, or convert themselves. */
const CHOICES =
  /^aten::(where|masked_|index|gather|embedding|to|_to_copy|type_as|view|bucketize|searchsorted|new_|\w+_like)/;

/** From the schema's `MemoryFormat` (contiguous, channels last, channels last 3d, preserve) to libtorch's. */
const MEMORY_FORMATS: Readonly<Record<number, number>> = { 1: 0, 2: 2, 3: 3, 4: 1 };
const STRIDED = 7;

/** Python writes the largest 64-bit integer for "to the end"; as a double it is no exact integer any more. */
const END = 2 ** 63;
const LARGEST = 2 ** 53;

/** Terms of a size: each use of a size repeats it, so a few lines could make it grow without end. */
const MOST_TERMS = 256;

/** What the names of a graph, or of a graph inside another, stand for. */
interface Scope {
  /** Value numbers of the tensors that were defined so far. */
  values: Map<string, number>;
  /** Sizes by name; for what is no size of a value, the operator it came from. */
  sizes: Map<string, RawSize | { from: string }>;
  /** The descriptions of its tensors. */
  tensors: Json;
  /** Whether gradients pass through what is computed here. */
  differentiated: boolean;
  /** How many graphs it is inside of. */
  depth: number;
}

/** The precision that a graph was exported in. */
export interface Precision {
  type: ElementType;
  /** Whether all floating numbers are converted to one, whatever the graph says. */
  converts: boolean;
}

export class GraphReader {
  readonly nodes: RawNode[] = [];
  #scope: Scope;
  readonly #graph: Json;
  /** Whether some node changes a value in place; not known until somebody asks. */
  #writes: boolean | undefined;
  readonly #precision: Precision;
  readonly #turns: Turns;
  readonly #maxNodes: number;
  #next: number;

  /** `values` numbers the inputs of the graph, which the first node's output follows as `next`. */
  constructor(
    graph: Json,
    values: Map<string, number>,
    next: number,
    precision: Precision,
    turns: Turns,
    maxNodes: number,
  ) {
    this.#scope = {
      values,
      sizes: new Map(),
      tensors: asObject(graph.tensor_values, 'tensor_values'),
      differentiated: true,
      depth: 0,
    };
    this.#graph = graph;
    this.#next = next;
    this.#precision = precision;
    this.#turns = turns;
    this.#maxNodes = maxNodes;
  }

  /** Adds a node of ours; returns the number of its value. */
  add(target: string, args: readonly RawArgument[]): number {
    this.nodes.push({ target, args, outputs: 1 });
    requireFewNodes(this.nodes.length, this.#maxNodes);
    return this.#next++;
  }

  /** What the graph calls by this name is the number in an input. */
  takeNumber(name: string): void {
    this.#scope.sizes.set(name, { itemOf: this.valueOf(name) });
  }

  valueOf(name: string): number {
    const value = this.#scope.values.get(name);
    if (value === undefined) throw damaged(`the graph reads ${name} before it exists`);
    return value;
  }

  /** Reads the nodes of the graph that its outputs need. */
  async readNodes(graph: Json, outputs: readonly string[]): Promise<void> {
    const nodes = asList(graph.nodes, 'nodes').map((node) => withoutTokens(asObject(node, 'a node')));
    for (const node of await neededNodes(nodes, outputs, this.#turns)) {
      await this.#read(node);
      await this.#turns.pass();
    }
  }

  async #read(node: Json): Promise<void> {
    const target = asString(node.target, 'the target of a node');
    const inputs = asList(node.inputs, `the inputs of ${target}`).map((input) => asObject(input, target));
    const outputs = asList(node.outputs, `the outputs of ${target}`).map((output) => tagged(output, target));
    if (REGION.test(target)) {
      await this.#readRegion(target, inputs, outputs);
      return;
    }
    if (outputs.length > 0 && outputs.every(([tag]) => tag.startsWith('as_sym_'))) {
      this.#readSize(target, inputs, outputs);
      return;
    }
    const name = operatorName(target);
    const args: RawArgument[] = [];
    const kwargs: Record<string, RawArgument> = {};
    for (const input of inputs) {
      const key = asString(input.name, `the name of an argument of ${target}`);
      const argument = this.#argument(input.arg, name, key, inputs);
      if (input.kind === 1) {
        args.push(argument);
      } else {
        kwargs[key] = argument;
      }
    }
    const results = outputs.flatMap(([tag, content]) => outputNames(tag, content, name));
    for (const [tag, content] of outputs)
      if (tag === 'as_sym_int') this.#scope.sizes.set(symbolName(content, name), { from: name });
    if (BY_STRIDES.test(name)) {
      const tensors = [args[0] ?? kwargs.self];
      if (name.endsWith('_scatter')) tensors.push(args.splice(1, 1)[0] ?? kwargs.src);
      const names = ['size', 'stride', 'storage_offset'] as const;
      const given = names.map((key, index) => args[index + 1] ?? kwargs[key]);
      this.#addStrided(name, inputs, tensors, given, results[0]);
      return;
    }
    if (kwargs.dtype == null && !CHOICES.test(name)) this.#widenIntegers(inputs, args, results);
    if (FACTORIES.test(name) && kwargs.dtype == null && this.#isFloating(results[0])) {
      const isComplex = this.#typeOf(results[0]).startsWith('complex');
      kwargs.dtype = isComplex ? { complexPrecision: true } : { precision: true };
    }
    if (EMPTY.test(name) && kwargs.dtype == null && this.#typeOf(results[0]) !== 'unknown')
      kwargs.dtype = this.#dtype(this.#typeOf(results[0]), name, inputs);
    const call: RawNode = { target: name, args, kwargs, outputs: results.length };
    const [argument, result] = [this.#describedFirst(inputs), this.#scope.tensors[results[0] ?? '']];
    const copies =
      kwargs.copy === true || inputs.some((each, index) => each.name === 'copy' && args[index] === true);
    const shares = copies ? false : sharesMemory(name, argument, result);
    if (shares !== undefined) call.sharesMemory = shares;
    if (!this.#scope.differentiated && WRITES.test(target)) call.differentiated = false;
    this.nodes.push(squeezedAlike(call, argument, result));
    requireFewNodes(this.nodes.length, this.#maxNodes);
    const same =
      results.length === 1 && this.#givesFirst(target, call, inputs, results[0]) ? args[0] : undefined;
    for (const result of results) {
      const value = typeof same === 'object' && same !== null && 'ref' in same ? same.ref : this.#next;
      if (result !== undefined) this.#scope.values.set(result, value);
      this.#next += 1;
    }
  }

  /**
   * Whether PyTorch returns the first argument itself, so that derivatives reach it although none pass what a region
   * without them computes. Elsewhere they pass what returns it, too.
   */
  #givesFirst(target: string, call: RawNode, inputs: readonly Json[], result: string | undefined): boolean {
    if (IN_PLACE.test(target)) return true;
    if (this.#scope.differentiated) return false;
    return returnsItself(call, this.#describedFirst(inputs), this.#scope.tensors[result ?? '']);
  }

  /** Where memory may be written later, what was chosen of it before would be out of date. */
  #addStrided(
    op: string,
    inputs: readonly Json[],
    tensors: readonly (RawArgument | undefined)[],
    args: readonly (RawArgument | undefined)[],
    result: string | undefined,
  ): void {
    this.#writes ??= writesInside(this.#graph.nodes);
    const [value, source] = tensors.flatMap((each) =>
      typeof each === 'object' && each !== null && 'ref' in each ? each.ref : [],
    );
    const known =
      value !== undefined && (source !== undefined) === tensors.length > 1 && result !== undefined;
    const elements = elementsInOrder(this.#describedFirst(inputs));
    if (!known || this.#writes || elements === undefined || !isWithin(elements, args)) {
      throw unsupported(
        `${op} gives memory another shape, of a tensor that does not lie there in order, that is changed in place, or ` +
          'beyond its elements; write it by unfold, slices or gather',
      );
    }
    const where = args.map((each) => each ?? null);
    const add = (target: string, given: readonly RawArgument[]) => this.add(target, given);
    const made =
      source === undefined ? readStrided(value, where, add) : writeStrided(value, source, where, add);
    this.#scope.values.set(result, made);
  }

  /** The description of the first argument. */
  #describedFirst([first]: readonly Json[]): unknown {
    const [name] = namesIn(first?.arg);
    return name === undefined ? undefined : this.#scope.tensors[name];
  }

  /**
   * Whole numbers that an operator makes floating ones of (`image / 255`) would come out in libtorch's default precision:
   * they are converted to that of the parameters before.
   */
  #widenIntegers(
    inputs: readonly Json[],
    args: RawArgument[],
    results: readonly (string | undefined)[],
  ): void {
    const tensors = inputs.flatMap(({ arg }) => namesIn(arg)).filter((name) => name in this.#scope.tensors);
    if (tensors.length === 0 || tensors.some((name) => this.#isFloating(name))) return;
    if (!results.some((name) => this.#isFloating(name))) return;
    args.forEach((arg, index) => {
      if (typeof arg === 'object' && arg !== null && 'ref' in arg)
        args[index] = { ref: this.add('aten::to.dtype', [arg, { precision: true }]) };
    });
  }

  /**
   * The nodes of a region, in the place of its call. What is computed where gradients are off is a constant to them: it
   * is detached where it comes out, unless it is what went in, changed or not.
   */
  async #readRegion(
    target: string,
    inputs: readonly Json[],
    outputs: readonly [string, unknown][],
  ): Promise<void> {
    const args = inputs.map((input) => tagged(input.arg, target));
    const at = args.findIndex(([tag]) => tag === 'as_graph');
    if (at < 0) throw damaged(`${target} is given no graph`);
    const outer = this.#scope;
    const differentiated = regionIsDifferentiated(target, args.slice(0, at), outer.differentiated);
    const graph = asObject(asObject(args[at]![1], target).graph, 'the graph of a region');
    const formals = asList(graph.inputs, 'the inputs of a region').map((input) => tagged(input, target));
    const actuals = args.slice(at + 1);
    const results = asList(graph.outputs, 'the outputs of a region').map((output) => tagged(output, target));
    const targets = outputs.flatMap(listed);
    if (formals.length !== actuals.length || results.length !== targets.length)
      throw damaged(`${target} is called with other arguments or results than its graph has`);

    const inner: Scope = {
      values: new Map(),
      sizes: new Map(),
      tensors: asObject(graph.tensor_values, 'tensor_values'),
      differentiated,
      depth: outer.depth + 1,
    };
    if (inner.depth > DEEPEST) throw unsupported(`${target} is nested too deep`);
    formals.forEach(([tag, content], index) => {
      const [kind, actual] = actuals[index]!;
      if (tag === 'as_tensor' && kind === 'as_tensor') {
        inner.values.set(tensorName(content, target), this.valueOf(tensorName(actual, target)));
      } else if (tag === 'as_sym_int' && isSize([kind, actual])) {
        inner.sizes.set(symbolName(content, target), this.#size([kind, actual], target));
      } else {
        throw unsupported(
          `${target} is given an argument of a kind (${kind}) that a straight-line program has not`,
        );
      }
    });
    const first = this.#next;
    this.#scope = inner;
    await this.readNodes(graph, results.flatMap(resultNames));
    const values = results.map(([tag, content]) => {
      if (tag === 'as_sym_int' || tag === 'as_int') return { size: this.#size([tag, content], target) };
      const name = tensorName(content, target);
      const value = this.valueOf(name);
      const stops = outer.differentiated && !differentiated && value >= first && this.#isFloating(name);
      return { value: stops ? this.add('aten::detach', [{ ref: value }]) : value };
    });
    this.#scope = outer;
    targets.forEach(([tag, content], index) => {
      const { size, value } = values[index]!;
      if (tag === 'as_sym_int' && size !== undefined) outer.sizes.set(symbolName(content, target), size);
      else if (tag === 'as_tensor' && value !== undefined)
        outer.values.set(tensorName(content, target), value);
      else throw damaged(`${target} gives results of other kinds than its graph`);
    });
  }

  #readSize(target: string, inputs: readonly Json[], outputs: readonly [string, unknown][]): void {
    const [, content] = outputs[0]!;
    const result = asString(asObject(content, target).as_name, `the result of ${target}`);
    this.#scope.sizes.set(result, { from: operatorName(target) });
    const args = inputs.map((input) => tagged(input.arg, target));
    if (target === 'torch.ops.aten.sym_size.int') {
      const sizeOf = this.valueOf(tensorName(args[0]?.[1], target));
      this.#scope.sizes.set(result, { sizeOf, axis: asCount(args[1]?.[1], `the axis of ${target}`) });
      return;
    }
    if (target === 'torch.ops.aten.sym_numel.default') {
      const name = tensorName(args[0]?.[1], target);
      this.#scope.sizes.set(result, this.#elementCount(name));
      return;
    }
    const op = sizeFunction(target);
    if (op === undefined || !args.every(isSize)) return;
    const of = args.map((arg) => this.#size(arg, target));
    if (termsOf(of) > MOST_TERMS) throw unsupported(`${result} is a size of too many terms`);
    this.#scope.sizes.set(result, { op, of });
  }

  /** The product of the sizes of a tensor. */
  #elementCount(name: string): RawSize {
    const sizeOf = this.valueOf(name);
    const meta = asObject(this.#scope.tensors[name], `the description of ${name}`);
    const axes = asList(meta.sizes, `the sizes of ${name}`);
    if (axes.length >= MOST_TERMS) throw unsupported(`${name} has too many axes`);
    return axes
      .map((_, axis): RawSize => ({ sizeOf, axis }))
      .reduce((left, right): RawSize => ({ op: '*', of: [left, right] }), 1 as RawSize);
  }

  #argument(arg: unknown, op: string, key: string, inputs: readonly Json[]): RawArgument {
    const [tag, content] = tagged(arg, `the argument ${key} of ${op}`);
    switch (tag) {
      case 'as_none':
        return null;
      case 'as_tensor':
        return { ref: this.valueOf(tensorName(content, op)) };
      case 'as_tensors':
        return { refs: asList(content, op).map((tensor) => this.valueOf(tensorName(tensor, op))) };
      case 'as_optional_tensor':
        return this.#argument(content, op, key, inputs);
      case 'as_optional_tensors':
        return {
          refs: asList(content, op).map((item) => {
            const [kind, tensor] = tagged(item, op);
            return kind === 'as_none' ? null : this.valueOf(tensorName(tensor, op));
          }),
        };
      case 'as_int':
        return integer(content, op);
      case 'as_ints':
        return asList(content, op).map((item) => integer(item, op));
      case 'as_float':
        return { float: float(content, op) };
      case 'as_floats':
        return asList(content, op).map((item) => float(item, op));
      case 'as_complex': {
        const { real, imag } = asObject(content, op);
        return { real: float(real, op), imaginary: float(imag, op) };
      }
      case 'as_bool':
        return content === true;
      case 'as_bools':
        return asList(content, op).map((item) => (item === true ? 1 : 0));
      case 'as_string':
        return asString(content, op);
      case 'as_sym_int':
      case 'as_sym_float':
      case 'as_sym_bool':
        return sizeArgument(this.#size([tag, content], op));
      case 'as_sym_ints': {
        const sizes = asList(content, op).map((item) => this.#size(['as_sym_int', item], op));
        return sizes.every((size) => typeof size === 'number') ? (sizes as number[]) : { sizes };
      }
      case 'as_scalar_type':
        return this.#dtype(elementType(content), op, inputs);
      case 'as_memory_format':
        return MEMORY_FORMATS[content as number] ?? null;
      case 'as_layout':
        if (content !== STRIDED) throw unsupported(`${op} makes a sparse tensor`);
        return 0;
      case 'as_device':
        return 'cpu'; // stands for where the program runs
      default:
        throw unsupported(
          `${op} takes ${key}, an argument of a kind (${tag}) that a straight-line program has not`,
        );
    }
  }

  /** `[tag, content]` of an argument that is a number or the name of one. */
  #size([tag, content]: readonly [string, unknown], op: string): RawSize {
    const [kind, value] = tag.startsWith('as_sym_') ? tagged(content, op) : [tag, content];
    if (kind === 'as_int') return integer(value, op);
    if (kind === 'as_float') return { float: float(value, op) };
    if (kind === 'as_bool') return Number(value === true);
    const size = this.#scope.sizes.get(asString(value, op));
    if (size === undefined) throw damaged(`${op} reads ${value} before it exists`);
    if (typeof size === 'object' && 'from' in size) {
      throw unsupported(
        `${op} needs a number that ${size.from} takes out of the data, where derivatives end`,
      );
    }
    return size;
  }

  /** A dtype written into the graph; that of the parameters stands for theirs at the time of a run. */
  #dtype(type: ElementType, op: string, inputs: readonly Json[]): RawArgument {
    if (type === this.#precision.type) return { precision: true };
    // In the precision of the parameters: what was float32 may be computed in more digits, not in fewer.
    if (type === 'complex64' || (type === 'complex128' && this.#precision.type === 'float64'))
      return { complexPrecision: true };
    if (this.#precision.converts && /^complex/.test(type)) return { complexPrecision: true };
    if (this.#precision.converts && /^b?float/.test(type)) return { precision: true };
    if (type === 'float32' || type === 'float64') {
      const sources = inputs
        .map((input) => tagged(input.arg, op))
        .filter(([tag]) => tag === 'as_tensor')
        .map(([, content]) => this.#typeOf(tensorName(content, op)));
      if (!sources.some((source) => source !== type && this.#isFloatingType(source)))
        return { precision: true };
    }
    const number = scalarTypeNumber(type);
    if (this.#isFloatingType(type) || number < 0) {
      throw unsupported(
        `${op} converts to ${type}; a model in one precision, float32 or float64, is needed: load it with ` +
          "Model.load(file, { dtype: 'float32' }) to compute all of it in that",
      );
    }
    return number;
  }

  #typeOf(name: string | undefined): ElementType {
    const meta = name === undefined ? undefined : this.#scope.tensors[name];
    return elementType((meta as Json | undefined)?.dtype);
  }

  #isFloating(name: string | undefined): boolean {
    return this.#isFloatingType(this.#typeOf(name));
  }

  #isFloatingType(type: ElementType): boolean {
    return /float|complex/.test(type);
  }
}

/**
 * The nodes that the outputs need, in order: those that nobody reads do not have to be supported. One that writes to its
 * argument changes what others read, so it stays.
 */
async function neededNodes(
  nodes: readonly Json[],
  outputs: readonly string[],
  turns: Turns,
): Promise<Json[]> {
  const needed = new Set(outputs);
  const kept: Json[] = [];
  for (const node of nodes.toReversed()) {
    await turns.pass();
    const target = asString(node.target, 'the target of a node');
    if (CHECKS.test(target)) continue;
    const results = asList(node.outputs, `the outputs of ${target}`).flatMap((each) => namesIn(each));
    if (!isWrite(node, target) && !results.some((name) => needed.has(name))) continue;
    for (const name of namesIn(node.inputs)) needed.add(name);
    kept.push(node);
  }
  return kept.reverse();
}

/** Whether a node changes what it is given. */
export function isWrite(node: Json, target: string): boolean {
  return WRITES.test(target) || (REGION.test(target) && writesInside(node.inputs));
}

/** Where a graph names operators: of nodes, and of nodes that have an effect. */
const OPERATOR_KEYS = new Set(['target', 'as_operator']);

/** Whether a graph among the arguments, or one inside of it, writes to what it is given. */
function writesInside(inputs: unknown): boolean {
  const left = [inputs];
  while (left.length > 0) {
    const each = left.pop();
    if (typeof each !== 'object' || each === null) continue;
    for (const [key, content] of Object.entries(each)) {
      if (OPERATOR_KEYS.has(key) && typeof content === 'string' && WRITES.test(content)) return true;
      left.push(content);
    }
  }
  return false;
}

/** The names of tensors and sizes in an argument: `{ "name": … }` and `{ "as_name": … }`, however deep. */
export function namesIn(value: unknown): string[] {
  const names: string[] = [];
  const left = [value];
  while (left.length > 0) {
    const each = left.pop();
    if (typeof each !== 'object' || each === null) continue;
    for (const [key, content] of Object.entries(each)) {
      if (typeof content !== 'string') left.push(content);
      else if (key === 'name' || key === 'as_name') names.push(content);
    }
  }
  return names;
}

/** Whether gradients pass through a region; `options` are those of its call, in front of its graph. */
function regionIsDifferentiated(
  target: string,
  options: readonly [string, unknown][],
  outside: boolean,
): boolean {
  if (target.endsWith('autocast')) {
    // device, dtype, enabled, cache
    if (options[2]?.[1] !== false)
      throw unsupported(
        'the model computes in other precisions (torch.autocast); export it outside autocast',
      );
    return outside;
  }
  const enabled = options[0]?.[1] === true;
  if (enabled && !outside)
    throw unsupported(
      'the model switches gradients on (torch.enable_grad) where they are off (torch.no_grad)',
    );
  return enabled;
}

/** Each result of an operator on its own, where it gives a list. */
function listed([tag, content]: readonly [string, unknown]): [string, unknown][] {
  if (tag !== 'as_tensors') return [[tag, content]];
  return asList(content, tag).map((tensor) => ['as_tensor', tensor]);
}

function resultNames([tag, content]: readonly [string, unknown]): string[] {
  if (tag === 'as_tensor') return [tensorName(content, 'a region')];
  return tag === 'as_sym_int' ? namesIn(content) : [];
}

function symbolName(content: unknown, op: string): string {
  return asString(asObject(content, `a size of ${op}`).as_name, `the name of a size of ${op}`);
}

/** `aten::add.Tensor` for `torch.ops.aten.add.Tensor`. */
function operatorName(target: string): string {
  const [, namespace, name, overload] = /^torch\.ops\.(\w+)\.(\w+)(?:\.(\w+))?$/.exec(target) ?? [];
  if (namespace === 'higher_order') {
    throw unsupported(`${name} is control flow, which a straight-line program has not`);
  }
  if (name === undefined) return target;
  return overload === undefined || overload === 'default'
    ? `${namespace}::${name}`
    : `${namespace}::${name}.${overload}`;
}

/** The names of what a node produces; `undefined` for an optional result that is absent. */
function outputNames(tag: string, content: unknown, op: string): (string | undefined)[] {
  switch (tag) {
    case 'as_tensor':
      return [tensorName(content, op)];
    case 'as_tensors':
      return asList(content, op).map((tensor) => tensorName(tensor, op));
    case 'as_none':
    case 'as_int':
    case 'as_sym_int':
      return [undefined];
    default:
      throw unsupported(`${op} gives a result that is no tensor (${tag})`);
  }
}

export function tensorName(content: unknown, op: string): string {
  return asString(asObject(content, `a tensor of ${op}`).name, `the name of a tensor of ${op}`);
}

function isSize([tag]: readonly [string, unknown]): boolean {
  return /^as_(sym_)?(int|float|bool)$/.test(tag);
}

function terms(size: RawSize): number {
  if (typeof size === 'number' || !('op' in size)) return 1;
  return termsOf(size.of);
}

function termsOf(operands: readonly RawSize[]): number {
  return operands.reduce<number>((sum, each) => sum + terms(each), 1);
}

function sizeArgument(size: RawSize): RawArgument {
  return typeof size === 'number' || 'float' in size ? size : { size };
}

function integer(value: unknown, op: string): number {
  if (typeof value === 'number' && value >= END && op.startsWith('aten::slice')) return LARGEST;
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value))
    throw unsupported(`${op} is given the whole number ${value}, beyond ±2^53`);
  if (!Number.isSafeInteger(value)) throw damaged(`${op} is given something else than a whole number`);
  return value as number;
}

/** JSON has no infinities: the schema writes them as text. */
function float(value: unknown, op: string): number {
  const number = typeof value === 'string' ? Number(value) : value;
  if (typeof number !== 'number' || (Number.isNaN(number) && value !== 'NaN')) {
    throw damaged(`${op} is given something else than a number`);
  }
  return number;
}
