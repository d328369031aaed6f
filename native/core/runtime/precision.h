#pragma once

#include <ATen/core/Tensor.h>

#include <limits>

namespace tc {

/// Distance from 1 to the next number in a precision.
inline double epsilonOf(const at::TensorOptions& options) {
  return options.dtype() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                        : std::numeric_limits<float>::epsilon();
}
inline double epsilonOf(const at::Tensor& tensor) { return epsilonOf(tensor.options()); }

}  // namespace tc
