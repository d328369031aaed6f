#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace tc {

/// Whether what it shows is its memory negated, as libtorch has the imaginary part of a conjugate.
inline bool isNegatedView(const at::Tensor& tensor) { return tensor.defined() && tensor.is_neg(); }

/// The same numbers as they are in its memory, which is what kernels of this project read.
inline at::Tensor asStored(at::Tensor tensor) {
  return isNegatedView(tensor) ? tensor.resolve_neg() : std::move(tensor);
}

}  // namespace tc
