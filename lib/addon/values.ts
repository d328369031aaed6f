/** Arrays as they cross to the addon. */

/** A flat vector. */
export type FloatArray = Float32Array | Float64Array;
/** For embeddings and class targets; bytes are `bool` (0 or 1) or `uint8`, as inputs of models from files may be. */
export type IntegerArray = Int32Array | BigInt64Array | Uint8Array;
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
        : A extends Uint8Array
          ? ReturnType<typeof Uint8Array.of>
          : never;

/** Row-major data with its shape. */
export interface RawTensor {
  data: TypedArray;
  shape: readonly number[];
}
