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
/// ‖x‖ and ⟨x, y⟩ as numbers, summed in float64; the norm neither overflows nor vanishes early.
double normOf(const at::Tensor& x);
double dotOf(const at::Tensor& x, const at::Tensor& y);
/// Distance from 1 to the next number in the tensor's precision.
double epsilonOf(const at::Tensor& tensor);
double epsilonOf(const at::TensorOptions& options);

}  // namespace tc
