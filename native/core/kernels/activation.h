#pragma once

#include <cstdint>

namespace tc::fused {

/// An element-wise function φ, with the numbers that PyTorch's operator of that name takes.
struct Activation {
  static constexpr int64_t kIdentity = -1;

  int64_t row = kIdentity;  ///< in the table of activations of all kernels
  double numbers[3] = {};   ///< the operator's, in its order
};

/// A row of the table of activations (kernels/activations.inc).
template <typename T>
struct ActivationKernel {
  const char* target;  ///< PyTorch's operator
  const char* word;    ///< which its argument that is a string has to be; null where it has none
  /// a = φ(a) and, unless null, derivative = φ'(a)
  void (*apply)(const Activation&, int64_t rows, int64_t n, int64_t row, T* a, T* derivative);
};

}  // namespace tc::fused
