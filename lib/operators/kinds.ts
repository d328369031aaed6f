/** The table of operators of a model: what tells one from another here. Each is a row of native/core/operators, too. */

export interface ModelOperatorRow {
  /** What its rows and its columns stand for. */
  rows: 'parameters' | 'outputs';
  columns: 'parameters' | 'outputs';
  /** Whether it is that of a loss, with targets. */
  ofLoss: boolean;
  /** Whether the L2 term of the problem adds to it. */
  regularized?: true;
  /** Whether it is made of Kronecker factors. */
  factored?: true;
  /** Whether A = −Aᵀ. */
  antisymmetric?: true;
  /** Whether it draws targets by the numbers of the rows. */
  draws?: true;
}

export const MODEL_OPERATORS = {
  gramian: { rows: 'parameters', columns: 'parameters', ofLoss: false },
  gramianImaginary: { rows: 'parameters', columns: 'parameters', ofLoss: false, antisymmetric: true },
  jacobian: { rows: 'outputs', columns: 'parameters', ofLoss: false },
  ntk: { rows: 'outputs', columns: 'outputs', ofLoss: false },
  gaussNewton: { rows: 'parameters', columns: 'parameters', ofLoss: true, regularized: true },
  hessian: { rows: 'parameters', columns: 'parameters', ofLoss: true, regularized: true },
  empiricalFisher: { rows: 'parameters', columns: 'parameters', ofLoss: true },
  fisher: { rows: 'parameters', columns: 'parameters', ofLoss: true, draws: true },
  kfac: { rows: 'parameters', columns: 'parameters', ofLoss: true, factored: true },
  ekfac: { rows: 'parameters', columns: 'parameters', ofLoss: true, factored: true },
  perSampleGradients: { rows: 'outputs', columns: 'parameters', ofLoss: true },
} as const satisfies Record<string, ModelOperatorRow>;

export type ModelOperator = keyof typeof MODEL_OPERATORS;

/** What an operator is: a curvature matrix of a model, a combination of others, or what a caller gave. */
export type OperatorKind =
  | ModelOperator
  | 'sum'
  | 'scaled'
  | 'damped'
  | 'product'
  | 'transpose'
  | 'inverse'
  | 'submatrix'
  | 'eigenvectors'
  | 'dense'
  | 'diagonal'
  | 'distributed'
  | 'custom';
