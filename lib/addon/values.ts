/** Arrays as they cross to the addon. */

/** A flat vector. */
export type FloatArray = Float32Array | Float64Array;
/** For embeddings and class targets. */
export type IntegerArray = Int32Array | BigInt64Array;
/** What tensors hold. */
export type TypedArray = FloatArray | IntegerArray;

/**
 * What results of a precision are: over an `ArrayBuffer` of their own, which TypeScript tells from other memory since its
 * version 5.7 (`Float32Array<ArrayBuffer>`).
 */
export type ResultArray<A extends TypedArray> = A extends Float32Array
  ? ReturnType<typeof Float32Array.of>
  : A extends Float64Array
    ? ReturnType<typeof Float64Array.of>
    : A extends Int32Array
      ? ReturnType<typeof Int32Array.of>
      : A extends BigInt64Array
        ? ReturnType<typeof BigInt64Array.of>
        : never;

/** Row-major data with its shape. */
export interface RawTensor {
  data: TypedArray;
  shape: readonly number[];
}
