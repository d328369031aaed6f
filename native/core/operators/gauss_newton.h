#pragma once

#include "core/losses/objective.h"
#include "core/operators/jacobian.h"

namespace tc {

/// Jᵀ H_loss J with H_loss the Hessian of the loss with respect to the outputs.
OperatorPtr gaussNewton(LinearizationPtr linearization, Objective objective, RowWeights weights);

}  // namespace tc
