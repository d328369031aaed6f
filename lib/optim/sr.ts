/** Stochastic reconfiguration: directions from values of the samples, as of local energies, without a loss. */
import { acceptedBy } from '../addon/operation.ts';
import {
  type ArrayKind,
  checkTypedArray,
  copyOf,
  type FloatArray,
  floatArray,
  type IntegerArray,
  isFloatArray,
  type ResultArray,
  type Tensor,
} from '../arrays.ts';
import { checkFinite, checkOptions, checkOutputVector, checkVector } from '../check.ts';
import { type GroupOption, type ProcessGroup, readTogether, theGroup } from '../distributed/process-group.ts';
import { gramian, jacobian, ntk } from '../operators/factories.ts';
import { OptionNames, record } from '../options.ts';
import type { Problem } from '../problem/problem.ts';
import { LINEARIZE_NAMES, type LinearizeOptions, linearize } from '../products/linearize.ts';
import { optionalAmount, optionalLimit } from '../solvers/arguments.ts';
import { cg } from '../solvers/linear.ts';
import { curvatureOf } from './options.ts';

/** Of `sr` and `minSR`. With a `group`, the problem, the values and the weights are those of this rank's rows. */
export interface SROptions<F extends FloatArray = FloatArray> extends LinearizeOptions, GroupOption {
  /** λ of S + λI; 1e-3 by default. */
  damping?: number;
  /** Of the rows; 1/N by default, of samples that are drawn from the model, N of all ranks. */
  weights?: F;
  /** Of `cg`; 1e-6 by default. */
  tolerance?: number;
  /** Of `cg`; ten times the number of unknowns by default. */
  maxIterations?: number;
}

const OPTIONS = new OptionNames<SROptions>({
  ...LINEARIZE_NAMES,
  damping: true,
  weights: true,
  tolerance: true,
  maxIterations: true,
  group: true,
});

/** A direction, and how its solver ended. */
export interface SRDirection<F extends FloatArray = FloatArray> {
  /** Flat, [P]: to be added to the parameters. */
  direction: ResultArray<F>;
  iterations: number;
  /** Of the solver: relative to the right-hand side it is below the tolerance where `converged`. */
  residualNorm: number;
  converged: boolean;
}

/** Values of the outputs, as tensors of their shape or flat. */
type Values<F extends FloatArray> = F | Tensor<F | IntegerArray>;

/**
 * The direction −(S + λI)⁻¹ Aᵀε of stochastic reconfiguration (Sorella 1998, "Green function Monte Carlo with stochastic
 * reconfiguration"): A = √W (I − 1wᵀ/Σw) J, S = AᵀA, and ε the values, as local energies, likewise weighted and centered. Real
 * outputs; of complex ones as pairs, the values are pairs, too.
 *
 * @throws TorchCurvatureError as `gramian`
 */
export function sr<F extends FloatArray>(
  problem: Problem<F>,
  values: Values<ArrayKind<F>>,
  options?: SROptions<ArrayKind<F>>,
): Promise<SRDirection<ArrayKind<F>>>;
export function sr(problem: Problem, values: Values<FloatArray>, options?: SROptions): Promise<SRDirection> {
  return direction(problem, values, options, false);
}

/**
 * The same direction by a system of as many unknowns as there are outputs, −Aᵀ(AAᵀ + λI)⁻¹ε (Chen & Heyl 2024, "Empowering deep
 * neural quantum states through efficient optimization"): better where there are more parameters than samples.
 *
 * @throws TorchCurvatureError as `ntk`
 */
export function minSR<F extends FloatArray>(
  problem: Problem<F>,
  values: Values<ArrayKind<F>>,
  options?: SROptions<ArrayKind<F>>,
): Promise<SRDirection<ArrayKind<F>>>;
export function minSR(
  problem: Problem,
  values: Values<FloatArray>,
  options?: SROptions,
): Promise<SRDirection> {
  return direction(problem, values, options, true);
}

async function direction(
  problem: Problem,
  values: Values<FloatArray>,
  options: SROptions | undefined,
  overSamples: boolean,
): Promise<SRDirection> {
  const { group: given, ...read } = readTogether(options, () => OPTIONS.read(options));
  if (given === undefined) return directionIn(undefined, problem, askedOf(values, read), overSamples);
  const group = theGroup(given, 'group');
  const asked = acceptedBy(group, () => askedOf(values, read));
  return group.inCommon(() => directionIn(group, problem, asked, overSamples), read.signal);
}

/** What is asked for, checked and copied. */
function askedOf(
  values: Values<FloatArray>,
  { damping, weights, tolerance, maxIterations, ...how }: Omit<SROptions, 'group'>,
) {
  const [given, epsilons] = [isFloatArray(weights) ? held(weights, 'weights') : weights, heldValues(values)];
  const lambda = optionalAmount(damping, 'damping') ?? 1e-3;
  const most = optionalLimit(maxIterations, 'maxIterations');
  const { signal } = checkOptions(how);
  const solver = {
    tolerance: optionalAmount(tolerance, 'tolerance') ?? 1e-6,
    ...(most !== undefined && { maxIterations: most }),
    ...(signal && { signal }),
    ...(how.threads !== undefined && { threads: how.threads }),
  };
  return { given, epsilons, lambda, solver, signal, how };
}

async function directionIn(
  group: ProcessGroup | undefined,
  problem: Problem,
  { given, epsilons, lambda, solver, signal, how }: ReturnType<typeof askedOf>,
  overSamples: boolean,
): Promise<SRDirection> {
  using linearization = await linearize(problem, how);
  const { outputShape, dtype } = linearization;
  checkFinite(lambda, 'damping', dtype);
  const [own] = outputShape as [number];
  const waiting = signal && { signal };
  // Weights by default are those of all samples: the ranks have them all or none of them has.
  const samples = given === undefined ? 'the number of samples' : 'the number of weighted samples';
  const rows = group === undefined ? own : (await group.placeOf(own, samples, waiting)).total;
  const ofRows =
    given === undefined ? floatArray(dtype, own).fill(1 / rows) : checkVector(given, 'weights', own, dtype);
  const flat = checkOutputVector(epsilons, 'values', outputShape, dtype);
  const ofAll = async (part: FloatArray) => (group === undefined ? part : group.allGather(part, waiting));
  const epsilon = centered(await ofAll(flat), await ofAll(ofRows));
  const centering = { weights: ofRows, center: true };
  const together = { ...centering, ...waiting, ...(group && { group }) };
  using a = await jacobian(linearization, together);
  using matrix = overSamples
    ? await ntk(linearization, together)
    : await curvatureOf(() => gramian(linearization, centering), { ...(group && { group }) });
  using damped = matrix.damp(lambda);
  const side = overSamples ? epsilon : await a.rmatvec(epsilon, waiting);
  const { x, iterations, residualNorm, converged } = await cg(damped, side, solver);
  const found = overSamples ? await a.rmatvec(x, waiting) : x;
  return {
    direction: found.map((each) => -each) as ResultArray<FloatArray>,
    iterations,
    residualNorm,
    converged,
  };
}

/** What an array of the caller's holds when it is passed: it may change while the problem is linearized. */
function held(array: FloatArray, name: string): FloatArray {
  checkTypedArray(array, name);
  return copyOf(array);
}

function heldValues(values: unknown): unknown {
  if (isFloatArray(values)) return held(values, 'values');
  if (ArrayBuffer.isView(values)) return values;
  const { data, shape } = record(values, 'values') as Tensor;
  return { data: isFloatArray(data) ? held(data, 'values.data') : data, shape };
}

/** √w (ε − Σ wε / Σw), for each output of a row. */
function centered(values: FloatArray, weights: FloatArray): FloatArray {
  const width = weights.length === 0 ? 0 : values.length / weights.length;
  let total = 0;
  for (const each of weights) total += each;
  const mean = new Float64Array(width);
  values.forEach((each, i) => {
    if (total > 0) mean[i % width]! += (weights[Math.floor(i / width)]! * each) / total;
  });
  return values.map((each, i) => Math.sqrt(weights[Math.floor(i / width)]!) * (each - mean[i % width]!));
}
