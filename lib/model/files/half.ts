/** Numbers of two bytes, which a float32 holds exactly. */

/** The number whose sign, exponent (`width` bits) and fraction (`digits` bits) these bits are. */
function fromBits(bits: number, width: number, digits: number): number {
  const sign = bits >> (width + digits) === 0 ? 1 : -1;
  const exponent = (bits >> digits) & (2 ** width - 1);
  const fraction = (bits & (2 ** digits - 1)) / 2 ** digits;
  const bias = 2 ** (width - 1) - 1;
  if (exponent === 2 ** width - 1) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return exponent === 0 ? sign * fraction * 2 ** (1 - bias) : sign * (1 + fraction) * 2 ** (exponent - bias);
}

/** IEEE 754 half precision. */
export const float16 = (bits: number): number => fromBits(bits, 5, 10);

/** The upper half of a float32. */
export const bfloat16 = (bits: number): number => fromBits(bits, 8, 7);
