import { type ArrayKind, copyOf, type FloatArray } from '../arrays.ts';
import { outOfRange } from '../errors.ts';
import { INSIDE } from '../guard.ts';
import { hessian } from '../operators/factories.ts';
import { OptionNames } from '../options.ts';
import type { GivenLossProblem, LossProblem } from '../problem/loss.ts';
import { checkPositive, optionalLimit } from '../solvers/arguments.ts';
import { type Method, Optimizer, type Proposal } from './optimizer.ts';
import { curvatureOf, HOW_NAMES, type How, type StepHow } from './options.ts';
import { dot, norm } from './vectors.ts';

/** Of `newtonCG`. */
export interface NewtonCGOptions extends How {
  /** Of the trust region at first, at most `maxRadius`; 1 by default. */
  radius?: number;
  /** The largest that it becomes; 1000 times the first by default. */
  maxRadius?: number;
  /** Products with the Hessian in a step; 250 by default. */
  maxIterations?: number;
}

const OPTIONS = new OptionNames<NewtonCGOptions>({
  ...HOW_NAMES,
  radius: true,
  maxRadius: true,
  maxIterations: true,
});

/** A step is taken where the loss falls by at least this much of what the model said. */
const ENOUGH = 1e-4;
/** ‖d‖ within this of the radius is on it. */
const ON_THE_EDGE = 1 - 1e-6;

class TrustRegion implements Method {
  damping: number;
  readonly #most: number;
  readonly #maxIterations: number;

  constructor({ radius = 1, maxRadius, maxIterations }: NewtonCGOptions) {
    this.damping = checkPositive(radius, 'radius');
    this.#most = checkPositive(maxRadius ?? 1000 * this.damping, 'maxRadius');
    if (this.damping > this.#most)
      throw outOfRange(`radius should be at most maxRadius, which is ${this.#most}, got ${radius}`);
    this.#maxIterations = optionalLimit(maxIterations, 'maxIterations') ?? 250;
  }

  /** Steihaug's conjugate gradients: until the residual is small, the curvature is not positive, or the edge is reached. */
  async propose(problem: GivenLossProblem, gradient: FloatArray, how: StepHow): Promise<Proposal> {
    const { signal, threads } = how;
    const given = { ...(signal && { signal }), ...(threads !== undefined && { threads }) };
    using matrix = await curvatureOf((own) => hessian(problem, own), how);
    const radius = this.damping;
    const d = new Float64Array(gradient.length);
    const r = Float64Array.from(gradient);
    const p = r.map((each) => -each);
    const start = norm(r);
    const enough = Math.min(0.5, Math.sqrt(start)) * start;
    let predicted = 0;
    let iterations = 0;
    // Of p: to where it leaves the region.
    const toTheEdge = () => {
      const [dd, dp, pp] = [dot(d, d), dot(d, p), dot(p, p)];
      return (-dp + Math.sqrt(dp * dp + pp * (radius * radius - dd))) / pp;
    };
    while (iterations < this.#maxIterations && norm(r) > enough) {
      const vector = copyOf(gradient);
      vector.set(p);
      const image = await matrix.matvec(vector, given);
      iterations++;
      const curvature = dot(p, image);
      const rr = dot(r, r);
      const edge = toTheEdge();
      const step = curvature > 0 ? rr / curvature : Number.POSITIVE_INFINITY;
      const taken = Math.min(step, edge);
      if (!Number.isFinite(taken) || Number.isNaN(curvature)) break;
      predicted -= taken * dot(r, p) + (taken * taken * curvature) / 2;
      for (let i = 0; i < d.length; i++) {
        d[i]! += taken * p[i]!;
        r[i]! += taken * image[i]!;
      }
      if (step >= edge) break;
      const next = dot(r, r) / rr;
      for (let i = 0; i < p.length; i++) p[i] = next * p[i]! - r[i]!;
    }
    return { direction: d, predicted, iterations };
  }

  judge(ratio: number, stepNorm: number): boolean {
    const radius = this.damping;
    if (!(ratio >= 0.25)) this.damping = radius / 4;
    else if (ratio > 0.75 && stepNorm >= ON_THE_EDGE * radius)
      this.damping = Math.min(2 * radius, this.#most);
    return ratio > ENOUGH;
  }
}

/**
 * Newton's method within a trust region: conjugate gradients with the Hessian of the loss, ended at the edge of the region or
 * in a direction without positive curvature (Steihaug 1983, "The conjugate gradient method and trust regions in large scale
 * optimization"), to the residual min(1/2, √‖∇L‖) ‖∇L‖. The radius is divided by 4 where the loss fell by less than 1/4 of what
 * the model said, and doubled where it fell by more than 3/4 on the edge (Nocedal & Wright 2006, "Numerical optimization",
 * algorithms 4.1 and 7.2). `damping` is the radius.
 */
export function newtonCG<F extends FloatArray, Given extends string = never>(
  problem: LossProblem<F, Given>,
  options?: NewtonCGOptions,
): Optimizer<ArrayKind<F>>;
export function newtonCG(problem: GivenLossProblem, options?: NewtonCGOptions): Optimizer {
  const { radius, maxRadius, maxIterations, ...how } = OPTIONS.read(options);
  const region = new TrustRegion({
    ...(radius !== undefined && { radius }),
    ...(maxRadius !== undefined && { maxRadius }),
    ...(maxIterations !== undefined && { maxIterations }),
  });
  return new Optimizer(INSIDE, problem, region, how);
}
