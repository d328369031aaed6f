#pragma once

#include "core/linearization/chunked.h"
#include "core/losses/objective.h"
#include "core/operators/linear_operator.h"
#include "core/operators/row_weights.h"

namespace tc {

/// G, [N, P]: row n is the gradient of what row n of the batch adds to the loss, w_n scale Σ ℓ over
/// its terms, so that Gᵀ1 is the gradient of the loss. Throws Error ERR_UNSUPPORTED_OP where rows
/// depend on one another.
OperatorPtr perSampleGradients(std::shared_ptr<ChunkedLinearization> linearization,
                               const Objective& objective, const RowWeights& weights,
                               const StopToken& stop);

/// What each row of the batch adds to the loss, [N]: they sum to it. `chunkSize` as for a forward
/// pass. Throws as `perSampleGradients`.
at::Tensor perSampleLosses(const Point& point, int64_t chunkSize, const Objective& objective,
                           const RowWeights& weights, const StopToken& stop);

}  // namespace tc
