/** Arrays as they cross to the addon. */

/** A flat vector. */
export type FloatArray = Float32Array | Float64Array;
/** What tensors hold: floating numbers, or integers for embeddings and class targets. */
export type TypedArray = FloatArray | Int32Array | BigInt64Array;

/** Row-major data with its shape. */
export interface RawTensor {
  data: TypedArray;
  shape: readonly number[];
}
