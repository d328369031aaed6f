/** Tensors from files that know more types than there are typed arrays here. */
import type { Tensor } from '../../arrays.ts';

export interface ReadTensor extends Tensor {
  /** What the file says that its elements are, where that is bytes, which are read as `Int32Array`. */
  readonly bytes?: 'bool' | 'uint8';
}
