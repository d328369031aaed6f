import type { FloatArray, ParameterVector } from '../arrays.ts';
import type { Inputs } from '../model/inputs.ts';
import type { Model } from '../model/model.ts';

/** A model at its parameters, with data; `F`, which `params` tells, is the kind of array that results are. */
export interface Problem<F extends FloatArray = FloatArray> {
  /** From `Model.sequential` or `Model.load`. */
  model: Model;
  /** Flat, or one array for each parameter by name. Their kind decides the precision of everything else. */
  params: ParameterVector<F>;
  /** The first axis is the batch. */
  x: Inputs;
}
