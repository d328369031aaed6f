import { checkOneOf } from '../check.ts';
import type { LinearOperator } from '../operators/linear-operator.ts';
import { OptionNames } from '../options.ts';
import { optionalCount, type SolverOptions, seedOf, solver } from './arguments.ts';
import type { TraceEstimate } from './estimators.ts';

/** Of `logdet`. */
export interface LogdetOptions extends SolverOptions {
  /** Stochastic Lanczos quadrature (`'slq'`, the default), or Cholesky's factorization of the matrix itself (`'exact'`). */
  method?: 'slq' | 'exact';
  /** Of `'slq'`: random start vectors; 10 by default. */
  probes?: number;
  /** Of `'slq'`: Lanczos steps for each; 80 by default, at most the size of the operator. */
  steps?: number;
  /** 0 by default. */
  seed?: number | bigint;
}

const OPTIONS = new OptionNames<LogdetOptions>({
  method: true,
  probes: true,
  steps: true,
  seed: true,
  threads: true,
  signal: true,
});

const LOGDET = solver({ name: 'logdet', names: OPTIONS }, (_op, { method = 'slq', probes, steps, seed }) => ({
  options: {
    method: checkOneOf(method, ['slq', 'exact'] as const, 'method'),
    probes: optionalCount(probes, 'probes'),
    steps: optionalCount(steps, 'steps'),
    seed: seedOf(seed),
  },
  result: (found) => found as TraceEstimate,
}));

/**
 * ln det A of a symmetric positive definite operator, as tr ln A (Ubaru, Chen & Saad 2017, "Fast estimation of tr(f(A)) via
 * stochastic Lanczos quadrature"). The standard error is that over the probes; what too few steps leave out it does not see.
 *
 * @throws RangeError when A is seen not to be positive definite, or not symmetric
 * @throws TorchCurvatureError `ERR_SHAPE_MISMATCH` when A is not square, `ERR_OUT_OF_MEMORY` for `'exact'`
 */
export async function logdet(op: LinearOperator, options?: LogdetOptions): Promise<TraceEstimate> {
  return LOGDET.promised(op, options);
}
/** `logdet` on the calling thread. */
export function logdetSync(op: LinearOperator, options?: LogdetOptions): TraceEstimate {
  return LOGDET.sync(op, options);
}
