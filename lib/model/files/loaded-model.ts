/** What the readers of model files give. */

import type { ProgramRecord } from '../../addon/program.ts';
import type { FloatArray } from '../../addon/values.ts';

export interface LoadedModel {
  kind: 'pt2' | 'torchscript';
  /** Parameters are those that require gradients, named as in the state dict, in the order of `named_parameters()`. */
  program: ProgramRecord;
  /** Their values, flat; the kind of array is the model's precision. */
  initialParameters: FloatArray;
  /** Names of parameters that do not require gradients: they are constants of the program. */
  frozen: readonly string[];
}
