import type { ParameterVector } from '../arrays.ts';
import type { Inputs, Model } from '../model/model.ts';

/** A model at its parameters, with data. */
export interface Problem {
  /** From `Model.sequential` or `Model.load`. */
  model: Model;
  /** Flat, or one array for each parameter by name. Their kind decides the precision of everything else. */
  params: ParameterVector;
  /** The first axis is the batch. */
  x: Inputs;
}
