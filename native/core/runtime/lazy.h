#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/zeros.h>

#include <utility>

namespace tc {

/// Whether a tensor is something else than its memory: a view that negates what it shows, as
/// libtorch has the imaginary part of a conjugate, or zeros without memory, as its forward mode has
/// them.
inline bool isLazy(const at::Tensor& tensor) {
  return tensor.defined() && (tensor.is_neg() || tensor._is_zerotensor());
}

/// The same numbers in memory, which is what kernels of this project read.
inline at::Tensor asStored(at::Tensor tensor) {
  if (!isLazy(tensor)) return tensor;
  return tensor._is_zerotensor() ? at::zeros(tensor.sizes(), tensor.options())
                                 : tensor.resolve_neg();
}

/// As `asStored`, one element after the other.
inline at::Tensor readable(const at::Tensor& tensor) { return asStored(tensor).contiguous(); }

}  // namespace tc
