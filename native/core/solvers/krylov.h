#pragma once

#include <ATen/core/Tensor.h>

#include "core/operators/linear_operator.h"

namespace tc {

/// An orthonormal basis that a symmetric A is projected on, grown by the Lanczos process with full
/// re-orthogonalization (twice, Giraud, Langou & Rozložník 2005).
struct KrylovBasis {
  at::Tensor vectors;    ///< [m + 1, n]: rows are the basis, then the next direction
  at::Tensor projected;  ///< QᵀAQ, [m, m], float64 on the CPU
  double next = 0;       ///< norm of what A adds to the basis; 0: it is invariant

  KrylovBasis(const LinearOperator& a, int64_t m);

  int64_t size() const { return projected.size(0); }
  /// Adds direction `j`: multiplies basis vector j by A, fills column j of the projection and puts
  /// the normalized rest in row j + 1. Returns false on NaN or infinity.
  bool extend(const LinearOperator& a, int64_t j, const StopToken& stop);
  /// Makes `vector` orthonormal to the first `count` basis vectors and stores it as row `count`.
  /// Returns false when nothing of it is left.
  bool insert(const at::Tensor& vector, int64_t count, const StopToken& stop);
};

}  // namespace tc
