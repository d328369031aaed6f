/** Operators made of Kronecker factors, which can be inverted and decomposed block by block. */

import { operation } from '../addon/operation.ts';
import type { RawEigh } from '../addon/operators.ts';
import type { OperatorHandle } from '../addon/requests.ts';
import type { DType, FloatArray, ResultArray } from '../arrays.ts';
import { checkFinite, checkOneOf, checkWholeOptions, type WholeOptions } from '../check.ts';
import type { ProcessGroup } from '../distributed/process-group.ts';
import { outOfRange } from '../errors.ts';
import { guard } from '../guard.ts';
import { OptionNames } from '../options.ts';
import type { OperatorKind } from './kinds.ts';
import { describeOperator, LinearOperator } from './linear-operator.ts';

/** Of `KroneckerOperator.inverse`. */
export interface InverseOptions extends WholeOptions {
  /** λ, at least 0, which it is by default; a matrix that is singular has no inverse without. */
  damping?: number;
  /**
   * How a block K = A ⊗ G of a layer is damped, with A the mean of its inputs' and G the sum of its gradients' outer
   * products: `'exact'` (the default) is (K + λI)⁻¹ through eigendecompositions; `'heuristic'` (A + √λ I)⁻¹ ⊗ (G + √λ I)⁻¹;
   * `'pi'` (A + π√λ I)⁻¹ ⊗ (G + √λ/π I)⁻¹ with π² = (tr A / dim A) / (tr G / dim G) (Martens & Grosse 2015, section 6.3).
   * Other blocks are damped exactly. An `ekfac`, and an inverse, have no factors, so that only `'exact'` is for them.
   */
  method?: 'exact' | 'heuristic' | 'pi';
}

/** Of `KroneckerOperator.logdet`. */
export interface LogdetOptions extends WholeOptions {
  /** λ of log det(K + λI), at least 0, which it is by default. */
  damping?: number;
}

const INVERSE_OPTIONS = new OptionNames<InverseOptions>({
  damping: true,
  method: true,
  threads: true,
  signal: true,
});
const LOGDET_OPTIONS = new OptionNames<LogdetOptions>({ damping: true, threads: true, signal: true });

/** K = Q diag(λ) Qᵀ. */
export interface Eigendecomposition<F extends FloatArray = FloatArray> {
  /** λ, [P], ascending. */
  eigenvalues: ResultArray<F>;
  /** Q, [P, P], orthogonal: its column i belongs to eigenvalue i. */
  eigenvectors: LinearOperator<F>;
}

/**
 * A block-diagonal matrix K over the parameters whose blocks are Kronecker products, or have eigenvectors that are: what
 * `kfac`, `ekfac` and their inverses are. Eigendecompositions are those of the factors, done when first needed; a signal is
 * heard between them, one of which takes seconds for some thousands of inputs.
 */
export class KroneckerOperator<F extends FloatArray = FloatArray> extends LinearOperator<F> {
  readonly #own = true;

  static {
    guard(
      KroneckerOperator,
      (value: unknown) => typeof value === 'object' && value !== null && #own in value && value.#own,
    );
  }

  /**
   * K⁻¹, or with damping λ (K + λI)⁻¹ or what stands for it, as an operator: for example a preconditioner of `cg`.
   *
   * @throws RangeError where what is inverted is singular, up to rounding
   */
  async inverse(options?: InverseOptions): Promise<KroneckerOperator<F>> {
    return KroneckerOperator.#inverse.promised(this, options) as Promise<KroneckerOperator<F>>;
  }
  /** `inverse` on the calling thread. */
  inverseSync(options?: InverseOptions): KroneckerOperator<F> {
    return KroneckerOperator.#inverse.sync(this, options) as KroneckerOperator<F>;
  }

  /** log det(K + λI): −Infinity where that is singular, up to rounding, NaN where it has a negative eigenvalue. */
  async logdet(options?: LogdetOptions): Promise<number> {
    return KroneckerOperator.#logdet.promised(this, options);
  }
  /** `logdet` on the calling thread. */
  logdetSync(options?: LogdetOptions): number {
    return KroneckerOperator.#logdet.sync(this, options);
  }

  /** The trace of K, exactly. */
  async trace(options?: WholeOptions): Promise<number> {
    return KroneckerOperator.#trace.promised(this, options);
  }
  /** `trace` on the calling thread. */
  traceSync(options?: WholeOptions): number {
    return KroneckerOperator.#trace.sync(this, options);
  }

  /** ‖K‖, the root of the sum of its squared elements. */
  async frobeniusNorm(options?: WholeOptions): Promise<number> {
    return KroneckerOperator.#frobeniusNorm.promised(this, options);
  }
  /** `frobeniusNorm` on the calling thread. */
  frobeniusNormSync(options?: WholeOptions): number {
    return KroneckerOperator.#frobeniusNorm.sync(this, options);
  }

  /** All eigenvalues and eigenvectors. */
  async eigh(options?: WholeOptions): Promise<Eigendecomposition<F>> {
    return KroneckerOperator.#eigh.promised(this, options) as Promise<Eigendecomposition<F>>;
  }
  /** `eigh` on the calling thread. */
  eighSync(options?: WholeOptions): Eigendecomposition<F> {
    return KroneckerOperator.#eigh.sync(this, options) as Eigendecomposition<F>;
  }

  /** In `Object.prototype.toString`. */
  override get [Symbol.toStringTag](): string {
    return 'KroneckerOperator';
  }

  static readonly #inverse = operation((op: KroneckerOperator, options: InverseOptions | undefined) => {
    const { damping = 0, method = 'exact', ...how } = INVERSE_OPTIONS.read(options);
    const given = {
      damping: checkDamping(damping, op.dtype),
      method: checkOneOf(method, ['exact', 'heuristic', 'pi'] as const, 'method'),
      ...checkWholeOptions(how),
    };
    return {
      name: 'kroneckerInverse',
      ...asked(op, given),
      result: (handle: OperatorHandle) => madeOf(op, handle, 'inverse'),
    };
  });

  static readonly #logdet = operation((op: KroneckerOperator, options: LogdetOptions | undefined) => {
    const { damping = 0, ...how } = LOGDET_OPTIONS.read(options);
    const given = { damping: checkDamping(damping, op.dtype), ...checkWholeOptions(how) };
    return {
      name: 'kroneckerLogdet',
      ...asked(op, given),
      result: (found: number) => found,
    };
  });

  static readonly #trace = operation((op: KroneckerOperator, options: WholeOptions | undefined) => ({
    name: 'kroneckerTrace',
    ...asked(op, checkWholeOptions(options)),
    result: (found: number) => found,
  }));

  static readonly #frobeniusNorm = operation((op: KroneckerOperator, options: WholeOptions | undefined) => ({
    name: 'kroneckerFrobeniusNorm',
    ...asked(op, checkWholeOptions(options)),
    result: (found: number) => found,
  }));

  static readonly #eigh = operation((op: KroneckerOperator, options: WholeOptions | undefined) => ({
    name: 'kroneckerEigh',
    ...asked(op, checkWholeOptions(options)),
    result: ({ eigenvalues, eigenvectors }: RawEigh): Eigendecomposition => ({
      eigenvalues,
      eigenvectors: new LinearOperator(eigenvectors, 'eigenvectors', op.space, { kind: 'plain' }),
    }),
  }));
}

function checkDamping(value: unknown, dtype: DType): number {
  const damping = checkFinite(value, 'damping', dtype);
  if (damping < 0) throw outOfRange(`damping should be at least 0, got ${damping}`);
  return damping;
}

/** Over the same parameters as another. */
function madeOf({ space }: KroneckerOperator, handle: OperatorHandle, kind: OperatorKind): KroneckerOperator {
  return new KroneckerOperator(handle, kind, space, space);
}

function asked<Given extends { signal: AbortSignal | undefined }>(
  op: KroneckerOperator,
  { signal, ...rest }: Given,
) {
  return { request: { operator: op.handle, ...rest }, signal, describe: () => describeOperator(op) };
}

/** Used inside the package, as are `together` and `basisOf`: of the rows of both together. */
export const join = operation(
  (op: KroneckerOperator, other: KroneckerOperator, signal: AbortSignal | undefined) => ({
    name: 'kroneckerJoin',
    ...asked(op, { other: other.handle, threads: 0, signal }),
    result: (handle: OperatorHandle) => madeOf(op, handle, op.kind),
  }),
);

/** Of the rows of all ranks of a group. */
export const together = operation(
  (op: KroneckerOperator, group: ProcessGroup, signal: AbortSignal | undefined) => {
    const { request, ...rest } = asked(op, { group: group.handle, threads: 0, signal });
    return {
      name: 'kroneckerTogether',
      ...rest,
      request,
      together: group,
      result: (handle: OperatorHandle) => madeOf(op, handle, op.kind),
    };
  },
);

/** What the parts of an `ekfac` in the basis of this add up from: its blocks that are of no layer. */
export const basisOf = operation((op: KroneckerOperator, signal: AbortSignal | undefined) => ({
  name: 'kroneckerBasis',
  ...asked(op, { threads: 0, signal }),
  result: (handle: OperatorHandle) => madeOf(op, handle, 'ekfac'),
}));
