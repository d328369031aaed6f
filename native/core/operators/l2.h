#pragma once

#include "core/operators/linear_operator.h"
#include "core/operators/loss_gradient.h"

namespace tc {

/// A + diag(λ) for a square A and λ, [P], which may be on another device: the curvature of
/// ½ Σ λ θ² added to that of a loss. Throws Error ERR_SHAPE_MISMATCH or ERR_DTYPE_MISMATCH.
OperatorPtr regularized(OperatorPtr a, const at::Tensor& l2);

/// Adds ½ Σ λ θ² and its gradient λ ⊙ θ.
void addL2(LossGradient& result, const at::Tensor& params, const at::Tensor& l2);

}  // namespace tc
