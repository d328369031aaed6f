/** Problems whose data stay in place while the parameters change. */
import { inspect } from 'node:util';
import { operation } from '../addon/operation.ts';
import {
  checkTypedArray,
  dtypeOf,
  type FloatArray,
  isFloatArray,
  type ParameterVector,
  type Tensor,
} from '../arrays.ts';
import { checkDevice, checkSignal, checkTensor } from '../check.ts';
import { wrongType } from '../errors.ts';
import { isList, listOf } from '../foreign.ts';
import { checkInside, guard, INSIDE, type Inside } from '../guard.ts';
import { type InspectArguments, inspected } from '../inspect.ts';
import { type Inputs, isNamed } from '../model/inputs.ts';
import { OptionNames, record } from '../options.ts';
import { bound } from './bound.ts';
import { checkProblem } from './check.ts';
import { HeldTensor } from './held-tensor.ts';
import type { Problem } from './problem.ts';

/** Of `bind`. */
export interface BindOptions {
  /** Where the data are kept: `'cpu'` (the default), `'cuda'` or `'cuda:N'`. Products elsewhere send them there each time. */
  device?: string;
  /** Stops before the next tensor is copied. */
  signal?: AbortSignal;
}

const OPTIONS = new OptionNames<BindOptions>({ device: true, signal: true });

/** What is bound: a problem without its parameters. */
type Unparametrized = Omit<Problem, 'params'> & { target?: Tensor };

/** A problem whose data were put in place by `bind`. */
export class BoundProblem<P extends Unparametrized = Unparametrized> implements Disposable {
  /** Where the data are kept. */
  readonly device: string;
  readonly #problem: P;
  readonly #held: readonly HeldTensor[];

  static {
    guard(BoundProblem, (value) => typeof value === 'object' && value !== null && #held in value);
  }

  /** Used by `bind`. */
  constructor(key: Inside, problem: P, held: readonly HeldTensor[], device: string) {
    checkInside(key, 'a BoundProblem comes from bind');
    this.device = device;
    this.#problem = problem;
    this.#held = held;
    bound.add(this);
  }

  /** The problem at these parameters, for every function that takes one: only the parameters are sent. */
  at<F extends FloatArray>(params: ParameterVector<F>): Omit<P, 'params'> & { params: ParameterVector<F> } {
    return { ...this.#problem, params };
  }

  /** Whether `dispose` was called. */
  get disposed(): boolean {
    return this.#held.every((each) => each.disposed);
  }

  /** Frees the data; operators and linearizations that were made of them keep theirs. */
  dispose(): void {
    for (const each of this.#held) each.dispose();
  }

  /** What the end of a `using` block calls. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** In `Object.prototype.toString`. */
  get [Symbol.toStringTag](): string {
    return 'BoundProblem';
  }

  /** @internal */
  [inspect.custom](...how: InspectArguments): string {
    const { device, disposed } = this;
    return inspected('BoundProblem', { ...this.#problem, device, disposed }, how);
  }
}

const HOLD = operation((tensor: Tensor, device: string, signal: AbortSignal | undefined) => ({
  name: 'holdTensor',
  request: { tensor, device, threads: 0 },
  signal,
  describe: () => ({ device, shape: tensor.shape }),
  result: (handle) => new HeldTensor(handle, tensor, device),
}));

/**
 * Copies the data of a problem, inputs and targets, to where products read them, once for all: `bound.at(params)` is then the
 * problem at any parameters, for products, operators, losses and optimizers, of which only the parameters are sent. For loops
 * that move the parameters, and for data on a GPU. Parameters that the problem has are not looked at.
 *
 * @throws TypeError, TorchCurvatureError `ERR_SHAPE_MISMATCH`, `ERR_DTYPE_MISMATCH`, `ERR_DEVICE_UNAVAILABLE`
 */
export async function bind<P extends Unparametrized>(
  problem: P,
  options?: BindOptions,
): Promise<BoundProblem<Omit<P, 'params'> & Unparametrized>> {
  const { device: where, signal: given } = OPTIONS.read(options);
  const [device, signal] = [checkDevice(where), checkSignal(given)];
  const {
    params: _,
    x,
    target,
    ...rest
  } = checkProblem(problem as unknown as Problem) as Problem & { target?: Tensor };
  const { tensors, likeThem } = tensorsOf(x);
  if (target !== undefined) tensors.push([target, 'problem.target']);
  // All of them are read now; where several cannot be held, it is the first that is named.
  const settled = await Promise.allSettled(
    tensors.map(async ([value, name]) => HOLD.promised(anyTensor(value, name), device, signal)),
  );
  const held = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = settled.find((each) => each.status === 'rejected');
  if (failed !== undefined) {
    for (const made of held) made.dispose();
    throw failed.reason;
  }
  const targets = target === undefined ? {} : { target: held.at(-1) };
  const bound = { ...rest, x: likeThem(held), ...targets } as unknown as Omit<P, 'params'> & Unparametrized;
  return new BoundProblem(INSIDE, bound, held, device);
}

/** A tensor of either precision: which one it should be is known with the parameters. */
function anyTensor(value: unknown, name: string): Tensor {
  const { data } = record(value, name) as Tensor;
  if (HeldTensor.is(value)) throw wrongType(`${name} is bound already`);
  checkTypedArray(data, `${name}.data`, true);
  return checkTensor(value, name, isFloatArray(data) ? dtypeOf(data) : 'float32', { bytes: true });
}

interface InOrder {
  /** The inputs, with what messages call them. */
  tensors: [value: unknown, name: string][];
  /** The same structure, as it was read: a tensor, or several in order or by name. */
  likeThem(held: readonly HeldTensor[]): Inputs;
}

function tensorsOf(x: Inputs): InOrder {
  if (isNamed(x)) {
    const entries = Object.entries(x);
    return {
      tensors: entries.map(([name, input]) => [input, `x.${name}`]),
      likeThem: (held) => Object.fromEntries(entries.map(([name], index) => [name, held[index]!])),
    };
  }
  if (!isList(x)) return { tensors: [[x, 'x']], likeThem: ([held]) => held! };
  const list = listOf(x, 'x');
  return {
    tensors: list.map((input, index) => [input, `x[${index}]`]),
    likeThem: (held) => held.slice(0, list.length),
  };
}
