#pragma once

#include <ATen/core/Tensor.h>

#include "core/linearization/linearization.h"
#include "core/program/point.h"

namespace tc {

/// (JᵀJ)v without J, where J = ∂f(θ, x)/∂θ over all rows and outputs. `v` and the result: [P].
///
/// With autograd, one forward pass of dual tensors θ + εv gives y and its tangent Jv; one backward
/// pass of y with that tangent as cotangent gives Jᵀ(Jv). Sums over chunks of `chunkSize` rows (0:
/// as `rowsAtOnce` says); the fused engine works in tiles of its own. Throws Error
/// ERR_UNSUPPORTED_OP.
at::Tensor matvecOnTheFly(const Point& point, const at::Tensor& v, Engine engine, int64_t chunkSize,
                          const StopToken& stop);

}  // namespace tc
