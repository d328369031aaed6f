#pragma once

#include <cstdint>

#include "core/losses/objective.h"
#include "core/operators/jacobian.h"

namespace tc {

/// JᵀWJ, centred if asked for: the Gramian, JᵀJ without weights.
OperatorPtr gramian(LinearizationPtr linearization, RowWeights weights);

/// Jᵀ H_loss J with H_loss the Hessian of the loss with respect to the outputs.
OperatorPtr gaussNewton(LinearizationPtr linearization, Objective objective, RowWeights weights);

/// c Σₙ wₙ gₙgₙᵀ with gₙ = ∇θ ℓₙ, where L = c Σ ℓₙ: c = 1/N for `mean` (ℓₙ is then what PyTorch's
/// loss with `mean` gives for the sample alone), 1 for `sum`.
OperatorPtr empiricalFisher(LinearizationPtr linearization, const Objective& objective,
                            RowWeights weights);

/// The Fisher matrix with targets drawn from the model's own distribution, `samples` for each row;
/// its expectation is `gaussNewton`. The draws are those of `seed`, whatever the chunks.
OperatorPtr monteCarloFisher(LinearizationPtr linearization, const Objective& objective,
                             RowWeights weights, int64_t samples, uint64_t seed);

}  // namespace tc
