#pragma once

#include <ATen/core/Tensor.h>

#include "core/linearization/linearization.h"
#include "core/program/point.h"

namespace tc {

/// How far the dense product goes before it meets the vector.
enum class DenseStrategy {
  kGram,      ///< J, then F = JᵀJ, then F v
  kJacobian,  ///< J, then Jᵀ(J v)
};

/// (JᵀJ)v through a materialized J, [rows·outputs, P]: the reference that on-the-fly products are
/// measured against. With `chunkSize` 0 all of J exists at once; otherwise that many rows of the
/// batch do, and F, [P, P], sums over them. Throws Error ERR_OUT_OF_MEMORY, with the estimate,
/// before it allocates what would not fit.
at::Tensor matvecDense(const Point& point, const at::Tensor& v, DenseStrategy strategy,
                       Engine engine, int64_t chunkSize, const StopToken& stop);

}  // namespace tc
