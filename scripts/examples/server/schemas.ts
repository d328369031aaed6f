/** What bodies may hold, as JSON Schema; sizes that depend on a model are checked by the package. */

const numbers = { type: 'array', items: { type: 'number' } };

const tensor = {
  type: 'object',
  required: ['data', 'shape'],
  additionalProperties: false,
  properties: {
    data: numbers,
    shape: { type: 'array', items: { type: 'integer', minimum: 0 }, minItems: 1, maxItems: 8 },
    dtype: { enum: ['int32'] },
  },
};

function bodyOf(required: readonly string[], properties: object) {
  return { type: 'object', required, additionalProperties: false, properties };
}

/** Of J v and JᵀJ v. */
export const tangentBody = bodyOf(['x', 'v'], { x: tensor, v: numbers });
/** Of JᵀJ v, which may be asked for by way of the dense matrix. */
export const productBody = bodyOf(['x', 'v'], { x: tensor, v: numbers, dense: { type: 'boolean' } });
/** Of Jᵀu. */
export const cotangentBody = bodyOf(['x', 'u'], { x: tensor, u: tensor });

const lossProblem = {
  x: tensor,
  target: tensor,
  loss: { enum: ['mse', 'cross_entropy', 'bce_with_logits'] },
};
/** Of the product of an operator with a vector. */
export const operatorBody = bodyOf(['x', 'target', 'loss', 'v'], { ...lossProblem, v: numbers });
/** Of (A + damping) x = b. */
export const solveBody = bodyOf(['x', 'target', 'loss', 'b', 'damping'], {
  ...lossProblem,
  b: numbers,
  damping: { type: 'number', exclusiveMinimum: 0 },
  tolerance: { type: 'number', minimum: 0, maximum: 1 },
  maxIterations: { type: 'integer', minimum: 1, maximum: 1000 },
});

export const operatorParams = {
  type: 'object',
  properties: { operator: { enum: ['gauss-newton', 'hessian', 'empirical-fisher'] } },
};
