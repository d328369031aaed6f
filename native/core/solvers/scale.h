#pragma once

#include <ATen/core/Tensor.h>

namespace tc {

/// Numbers far from 1 are brought near it by powers of two before they are squared or multiplied
/// with each other: that changes no bit of the result, except that nothing overflows or is lost.

/// e with max |x| within [2^e, 2^(e+1)); 0 where that is within 2^±16 anyway, for zero, and for NaN
/// or infinity.
int exponentOf(const at::Tensor& x);
/// The same of a size.
int exponentOf(double size);
/// x 2^exponent; x itself for the exponent 0.
at::Tensor scaledBy(const at::Tensor& x, int exponent);

/// max |x|; NaN where x holds NaN.
double largestOf(const at::Tensor& x);
/// Whether x is what is left of `scaled`, which is not zero, in units in which it is infinite or
/// less than the precision's least normal number; and what to say of it.
bool isLost(const at::Tensor& scaled, const at::Tensor& x);
inline constexpr const char* kOutOfRange =
    "the solution is too small or too large for the precision: scale the right-hand side or the "
    "operator, or use float64";

/// ‖x‖ and ⟨x, y⟩ as numbers, summed in float64; the norm neither overflows nor vanishes early.
double normOf(const at::Tensor& x);
double dotOf(const at::Tensor& x, const at::Tensor& y);

}  // namespace tc
