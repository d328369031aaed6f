/**
 * Optimizers that use curvature: each a few lines on the operators and solvers of this package. Their types are here, too:
 * `optim.Optimizer`, `optim.StepRecord`.
 */

export { levenbergMarquardt, type NaturalGradientOptions, naturalGradient } from './damped.ts';
export { type NewtonCGOptions, newtonCG } from './newton-cg.ts';
export type { Optimizer, StepData, StepOptions, StepRecord } from './optimizer.ts';
export type { DampedOptions } from './options.ts';
export { minSR, type SRDirection, type SROptions, sr } from './sr.ts';
