/** Methods that solve (A + λI) d = −∇L, and differ in A and in how λ follows. */
import type { ArrayKind, FloatArray } from '../arrays.ts';
import { checkOneOf, positive } from '../check.ts';
import { outOfRange } from '../errors.ts';
import { INSIDE } from '../guard.ts';
import { toSeed } from '../model/generator.ts';
import { empiricalFisher, fisher, gaussNewton } from '../operators/factories.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import type { GivenLossProblem, LossProblem } from '../problem/loss.ts';
import type { LinearizeOptions } from '../products/linearize.ts';
import { checkPositive, optionalAmount, optionalLimit } from '../solvers/arguments.ts';
import { cg } from '../solvers/linear.ts';
import { type Method, Optimizer, type Proposal } from './optimizer.ts';
import { curvatureOf, DAMPED_NAMES, type DampedOptions, type StepHow } from './options.ts';
import { dot } from './vectors.ts';

/** A curvature matrix at a point. */
type Curvature = (problem: GivenLossProblem, how: LinearizeOptions, draw: Draw) => Promise<LinearOperator>;

/** What one that is drawn depends on. */
interface Draw {
  firstRow: number;
  /** How many steps were done before. */
  step: number;
}

/** As far as λ goes. */
const [LEAST, MOST] = [1e-15, 1e15];

class Damped implements Method {
  damping: number;
  readonly #curvature: Curvature;
  readonly #follow: (ratio: number, damping: number) => number;
  /** Whether the matrix depends on the numbers of the rows. */
  readonly #draws: boolean;
  readonly #solver: { tolerance: number; maxIterations: number };
  /** Steps that were judged: one that was stopped is drawn again. */
  #steps = 0;

  constructor(
    curvature: Curvature,
    follow: (ratio: number, damping: number) => number,
    { damping = 1e-2, tolerance, maxIterations }: DampedOptions,
    draws = false,
  ) {
    this.#draws = draws;
    this.damping = checkPositive(damping, 'damping');
    if (damping < LEAST || damping > MOST)
      throw outOfRange(`damping should be from ${LEAST} to ${MOST}, got ${damping}`);
    this.#curvature = curvature;
    this.#follow = follow;
    this.#solver = {
      tolerance: optionalAmount(tolerance, 'tolerance') ?? 1e-3,
      maxIterations: optionalLimit(maxIterations, 'maxIterations') ?? 250,
    };
  }

  async propose(problem: GivenLossProblem, gradient: FloatArray, how: StepHow): Promise<Proposal> {
    const { signal, threads } = how;
    const given = { ...(signal && { signal }), ...(threads !== undefined && { threads }) };
    const firstRow = this.#draws && how.group ? await how.group.firstRow(rowsOf(problem)) : 0;
    const draw = { firstRow, step: this.#steps };
    using matrix = await curvatureOf((own) => this.#curvature(problem, own, draw), how);
    using damped = matrix.damp(this.damping);
    const { x: direction, iterations } = await cg(
      damped,
      gradient.map((each) => -each),
      { ...this.#solver, ...given },
    );
    const image = await matrix.matvec(direction, given);
    // The model without the damping: what the loss itself is to do.
    return { direction, predicted: -dot(gradient, direction) - dot(direction, image) / 2, iterations };
  }

  judge(ratio: number): boolean {
    this.#steps++;
    this.damping = Math.min(Math.max(this.#follow(ratio, this.damping), LEAST), MOST);
    return ratio > 0;
  }
}

const LEVENBERG_MARQUARDT_OPTIONS = new OptionNames<DampedOptions>(DAMPED_NAMES);

/**
 * Levenberg & Marquardt's method for a loss: steps d with (G + λI) d = −∇L, G the Gauss–Newton matrix of the loss, taken
 * where the loss falls. λ follows the ratio ρ of what it fell and what the model said (Nielsen 1999, "Damping parameter in
 * Marquardt's method"): times max(1/3, 1 − (2ρ − 1)³) after a step that was taken, and times 2, 4, 8, … after ones that were
 * not.
 */
export function levenbergMarquardt<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: DampedOptions,
): Optimizer<ArrayKind<F>>;
export function levenbergMarquardt(problem: GivenLossProblem, options?: DampedOptions): Optimizer {
  const { damping, tolerance, maxIterations, ...how } = LEVENBERG_MARQUARDT_OPTIONS.read(options);
  let growth = 2;
  const nielsen = (ratio: number, damping: number) => {
    if (ratio > 0) {
      growth = 2;
      return damping * Math.max(1 / 3, 1 - (2 * ratio - 1) ** 3);
    }
    const next = damping * growth;
    growth *= 2;
    return next;
  };
  const solver = defined({ damping, tolerance, maxIterations });
  return new Optimizer(INSIDE, problem, new Damped((at, how) => gaussNewton(at, how), nielsen, solver), how);
}

/** Of `naturalGradient`. */
export interface NaturalGradientOptions extends DampedOptions {
  /**
   * Which Fisher matrix: by the Hessian of the loss (`'type2'`, the default: `gaussNewton`), by drawn targets (`'mc'`) or by the
   * targets themselves (`'empirical'`). Where the Hessian of the loss need not be positive, as that of `gaussian_nll` with
   * predicted variances, steps may be rejected again and again: take `'mc'`.
   */
  fisher?: 'type2' | 'mc' | 'empirical';
  /** Of `'mc'`: targets drawn for each datum; 1 by default. */
  mcSamples?: number;
  /** Of `'mc'`; 0 by default. Step i, from 0, has the draws of `fisher` with `seed` + i. */
  seed?: number | bigint;
}

const NATURAL_GRADIENT_OPTIONS = new OptionNames<NaturalGradientOptions>({
  ...DAMPED_NAMES,
  fisher: true,
  mcSamples: true,
  seed: true,
});

/**
 * The natural gradient: steps d with (F + λI) d = −∇L (Amari 1998, "Natural gradient works efficiently in learning"), taken
 * where the loss falls. λ follows as in Martens 2010, "Deep learning via Hessian-free optimization": times 2/3 where the loss
 * fell by more than 3/4 of what the model said, times 3/2 below 1/4, and times 4 after a step that was not taken.
 */
export function naturalGradient<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: NaturalGradientOptions,
): Optimizer<ArrayKind<F>>;
export function naturalGradient(problem: GivenLossProblem, options?: NaturalGradientOptions): Optimizer {
  const given = NATURAL_GRADIENT_OPTIONS.read(options);
  const { damping, tolerance, maxIterations, fisher: name = 'type2', mcSamples, seed, ...how } = given;
  const kind = checkOneOf(name, ['type2', 'mc', 'empirical'] as const, 'fisher');
  const samples = positive(mcSamples === undefined ? 1 : mcSamples, 'mcSamples');
  const first = toSeed(seed === undefined ? 0 : seed);
  for (const [option, value] of Object.entries({ mcSamples, seed })) {
    if (value !== undefined && kind !== 'mc') throw outOfRange(`${option} is for fisher: 'mc'`);
  }
  const curvatures: Record<typeof kind, Curvature> = {
    type2: (at, how) => gaussNewton(at, how),
    mc: (at, how, { firstRow, step }) =>
      fisher(at, { ...how, mcSamples: samples, seed: BigInt.asUintN(64, first + BigInt(step)), firstRow }),
    empirical: (at, how) => empiricalFisher(at, how),
  };
  const martens = (ratio: number, damping: number) => {
    if (!(ratio > 0)) return damping * 4;
    if (ratio > 0.75) return (damping * 2) / 3;
    return ratio < 0.25 ? (damping * 3) / 2 : damping;
  };
  const solver = defined({ damping, tolerance, maxIterations });
  const method = new Damped(curvatures[kind], martens, solver, kind === 'mc');
  return new Optimizer(INSIDE, problem, method, how);
}

function rowsOf({ model, params, x }: GivenLossProblem): number {
  const how = { device: 'cpu', chunkSize: 0, threads: 0, engine: 'auto' } as const;
  return model.request(model.toFlat(params, 'params'), x, how).batch;
}

function defined<T extends object>(values: T) {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
