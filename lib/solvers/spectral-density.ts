import type { ResultArray, Tensor } from '../arrays.ts';
import { wholeNumber } from '../check.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import {
  checkNotEmpty,
  checkPositive,
  optionalAmount,
  optionalCount,
  type SolverOptions,
  seedOf,
  solver,
} from './arguments.ts';

/** Of `spectralDensity`. */
export interface SpectralDensityOptions extends SolverOptions {
  /** Random start vectors; 10 by default. */
  probes?: number;
  /** Lanczos steps for each; 80 by default, at most the size of the operator. */
  steps?: number;
  /** At least 2; 1024 by default. */
  gridPoints?: number;
  /**
   * What the grid reaches beyond the eigenvalues found, relative to their span; by default 0.05 and at least 4.5 sigma, so
   * that the density on the grid integrates to 1.
   */
  margin?: number;
  /**
   * Width of the Gaussians that broaden the density, above 0; by default 1 % of the grid's span, and at least two of its
   * steps. One narrower than a step falls between the points of the grid.
   */
  sigma?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const DENSITY_OPTIONS = new OptionNames<SpectralDensityOptions>({
  probes: true,
  steps: true,
  gridPoints: true,
  margin: true,
  sigma: true,
  seed: true,
  threads: true,
  signal: true,
});

/** A density over the real line, and what it was made of. */
export interface SpectralDensity {
  /** [gridPoints], ascending. */
  grid: ResultArray<Float64Array>;
  /** [gridPoints]; integrates to 1 over the real line. */
  density: ResultArray<Float64Array>;
  /** Eigenvalues of the tridiagonal matrices, ascending; [probes, steps]. */
  nodes: Tensor<ResultArray<Float64Array>>;
  /** Weights of the nodes, [probes, steps]; each row sums to 1. */
  weights: Tensor<ResultArray<Float64Array>>;
  /** Products with the operator. */
  products: number;
  /** False where the operator gave NaN or infinity; so is then the density. */
  finite: boolean;
}

const DENSITY = solver(
  { name: 'spectralDensity', names: DENSITY_OPTIONS },
  (op, { probes, steps, gridPoints, margin, sigma, seed }) => {
    checkNotEmpty(op, 'spectralDensity');
    return {
      options: {
        seed: seedOf(seed),
        probes: optionalCount(probes, 'probes'),
        steps: optionalCount(steps, 'steps'),
        gridPoints: gridPoints === undefined ? undefined : wholeNumber(gridPoints, 'gridPoints', 2),
        margin: optionalAmount(margin, 'margin'),
        sigma: sigma === undefined ? undefined : checkPositive(sigma, 'sigma'),
      },
      result: (found) => found as SpectralDensity,
    };
  },
);

/** The density of the eigenvalues of a symmetric operator, by stochastic Lanczos quadrature. */
export async function spectralDensity(
  op: LinearOperator,
  options?: SpectralDensityOptions,
): Promise<SpectralDensity> {
  return DENSITY.promised(op, options);
}
/** `spectralDensity` on the calling thread. */
export function spectralDensitySync(op: LinearOperator, options?: SpectralDensityOptions): SpectralDensity {
  return DENSITY.sync(op, options);
}
