/** What steps of all methods have in common: a direction, a look at the loss there, and what follows from that. */
import { acceptedBy } from '../addon/operation.ts';
import { copyOf, type FloatArray, floatArray, type ResultArray, type Tensor } from '../arrays.ts';
import { checkOptions, checkSignal } from '../check.ts';
import { theGroup } from '../distributed/process-group.ts';
import { checkInside, guard, type Inside } from '../guard.ts';
import type { Inputs } from '../model/inputs.ts';
import { withOwnWeights } from '../operators/factory.ts';
import { lossAndGradient } from '../operators/loss-and-gradient.ts';
import { OptionNames } from '../options.ts';
import { checkProblem } from '../problem/check.ts';
import { copyOfBatch } from '../problem/copies.ts';
import { type GivenLossProblem, lossItself } from '../problem/loss.ts';
import { planFields } from '../products/linearize.ts';
import type { How, StepHow } from './options.ts';
import { dot, norm } from './vectors.ts';

/** What one step did. */
export interface StepRecord {
  /** From 1. */
  step: number;
  /** Whether the parameters moved. */
  accepted: boolean;
  /** The loss before the step, and at the parameters that it tried; NaN where that is none. */
  loss: number;
  candidateLoss: number;
  /** How much the loss was to fall by the quadratic model, and what it fell by in proportion to that. */
  predicted: number;
  ratio: number;
  /** λ, or the radius of the trust region, of this step. */
  damping: number;
  /** ‖∇L‖ before the step, and ‖d‖ of what was tried. */
  gradientNorm: number;
  stepNorm: number;
  /** Products with the curvature matrix in the solver. */
  iterations: number;
}

/** Data of one step in place of the problem's, as of a minibatch. */
export interface StepData {
  x?: Inputs;
  target?: Tensor;
  /** Of these rows; those of the problem's rows where `x` is the problem's. */
  weights?: FloatArray;
}

/** Of `step`. */
export interface StepOptions extends StepData {
  /** Stops the step, which then leaves everything as it was; it rejects with the signal's reason. */
  signal?: AbortSignal;
}
const STEP_OPTIONS = new OptionNames<StepOptions>({ x: true, target: true, weights: true, signal: true });

/** What a method proposes at a point. */
export interface Proposal {
  /** To be added to the parameters. */
  direction: FloatArray;
  /** How much the quadratic model falls. */
  predicted: number;
  iterations: number;
}

/** How a method finds steps, and what it makes of them. */
export interface Method {
  /** λ or the radius. */
  damping: number;
  propose(problem: GivenLossProblem, gradient: FloatArray, how: StepHow): Promise<Proposal>;
  /** Adapts the damping; tells whether the step is taken. `ratio` is NaN where the loss was. */
  judge(ratio: number, stepNorm: number): boolean;
}

/** Parameters on their way down a loss, by data that are copied when it is made and when a step is asked for. */
export class Optimizer<F extends FloatArray = FloatArray> {
  /** What each step did, in order. */
  readonly records: StepRecord[] = [];
  #params: FloatArray;
  /** The loss and its gradient at the parameters, of all data of the problem. */
  #known: { loss: number; gradient: FloatArray } | undefined;
  #running: Promise<unknown> = Promise.resolve();
  readonly #problem: GivenLossProblem;
  readonly #method: Method;
  readonly #weights: FloatArray | undefined;
  readonly #how: Omit<How, 'weights'>;

  static {
    guard(Optimizer, (value) => typeof value === 'object' && value !== null && #params in value);
  }

  /** @internal Used by the methods. */
  constructor(key: Inside, problem: GivenLossProblem, method: Method, options: How) {
    checkInside(key, 'an Optimizer comes from levenbergMarquardt or another function of optim');
    const { weights: _, ...how } = options;
    const group = how.group === undefined ? undefined : theGroup(how.group, 'group');
    const given = checkProblem(problem);
    this.#problem = { ...given, ...copyOfBatch(given) };
    this.#params = copyOf(this.#problem.model.toFlat(this.#problem.params, 'params'));
    acceptedBy(group, () => {
      checkOptions(how);
      planFields(how);
      lossItself(given, this.#dtype);
    });
    this.#weights = acceptedBy(group, () => withOwnWeights(options).weights);
    this.#method = method;
    this.#how = how;
  }

  /** A copy of the parameters so far, flat. */
  get params(): ResultArray<F> {
    return copyOf(this.#params) as ResultArray<F>;
  }

  /** λ, or the radius of the trust region, of the next step. */
  get damping(): number {
    return this.#method.damping;
  }

  /**
   * One step: moves the parameters where that is judged to help, and adapts the damping. Steps that are asked for at once
   * follow one another.
   */
  async step(options?: StepOptions): Promise<StepRecord> {
    const [data, signal] = acceptedBy(this.#how.group, () => {
      const { signal, ...given } = withOwnWeights(STEP_OPTIONS.read(options));
      return [{ ...given, ...copyOfBatch(given) }, checkSignal(signal)] as const;
    });
    const before = this.#running;
    const own = before.catch(() => {}).then(() => this.#together(data, signal));
    this.#running = own;
    return own;
  }

  async #together(data: StepData, signal: AbortSignal | undefined): Promise<StepRecord> {
    const { group } = this.#how;
    const step = () => this.#step(data, signal);
    return group === undefined ? step() : group.inCommon(step, signal);
  }

  async #step(data: StepData, signal: AbortSignal | undefined): Promise<StepRecord> {
    const { weights: own, ...batch } = data;
    const whole = batch.x === undefined && batch.target === undefined && own === undefined;
    const weights = own ?? (batch.x === undefined ? this.#weights : undefined);
    const how = { ...this.#how, ...(weights && { weights }), ...(signal && { signal }) };
    const problem = { ...this.#problem, ...batch, params: this.#params };
    const known = whole ? this.#known : undefined;
    const { loss, gradient } = known ?? (await lossAndGradient(problem, how));
    if (whole) this.#known = { loss, gradient };
    const { damping } = this.#method;
    const { direction, predicted, iterations } = await this.#method.propose(problem, gradient, how);
    const candidate = floatArray(this.#dtype, this.#params.length);
    this.#params.forEach((each, i) => {
      candidate[i] = each + direction[i]!;
    });
    const next = await lossAndGradient({ ...problem, params: candidate }, how);
    const ratio = (loss - next.loss) / predicted;
    const stepNorm = norm(direction);
    const accepted = this.#method.judge(ratio, stepNorm);
    if (accepted) {
      this.#params = candidate;
      this.#known = whole ? next : undefined;
    }
    const record: StepRecord = {
      step: this.records.length + 1,
      accepted,
      loss,
      candidateLoss: next.loss,
      predicted,
      ratio,
      damping,
      gradientNorm: Math.sqrt(dot(gradient, gradient)),
      stepNorm,
      iterations,
    };
    this.records.push(record);
    return record;
  }

  get #dtype() {
    return this.#params.BYTES_PER_ELEMENT === 8 ? 'float64' : 'float32';
  }
}
