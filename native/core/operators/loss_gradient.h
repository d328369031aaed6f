#pragma once

#include "core/linearization/chunked.h"
#include "core/losses/objective.h"
#include "core/operators/row_weights.h"

namespace tc {

/// L(θ) = scale Σₙ wₙ loss(f(θ, xₙ), tₙ) and ∇L(θ), [P].
struct LossGradient {
  at::Tensor loss;  ///< 0-dim; NaN for a mean of no terms
  at::Tensor gradient;
};

/// The loss enters through its closed form: ∇L is Jᵀ of the gradient by the outputs. Throws Error
/// ERR_UNSUPPORTED_OP where an operator has no derivative or the engine that is asked for cannot
/// run the model, ERR_SHAPE_MISMATCH, ABORTED.
LossGradient lossGradient(const Point& point, const ChunkOptions& options,
                          const Objective& objective, const RowWeights& weights,
                          const StopToken& stop);

}  // namespace tc
