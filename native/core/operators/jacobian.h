#pragma once

#include <memory>
#include <vector>

#include "core/linearization/chunked.h"
#include "core/operators/linear_operator.h"
#include "core/operators/output_map.h"

namespace tc {

using LinearizationPtr = std::shared_ptr<ChunkedLinearization>;

/// A = √W (I − 1wᵀ/Σw) J, [N·outputs, P]; J itself without weights and centring.
OperatorPtr jacobian(LinearizationPtr linearization, RowWeights weights = {});

/// A Aᵀ, [N·outputs, N·outputs]: the neural tangent kernel.
OperatorPtr ntk(LinearizationPtr linearization, RowWeights weights = {},
                const StopToken& stop = {});

/// Shape of the model's outputs, [N, …], where the rows of `op` stand for them, as those of the two
/// above do; empty elsewhere.
std::vector<int64_t> outputShape(const LinearOperator& op);

/// Jᵀ C J, [P, P]: linearise, apply J, apply C, apply Jᵀ.
OperatorPtr sandwich(LinearizationPtr linearization, std::unique_ptr<OutputMap> map);

}  // namespace tc
