#pragma once

#include <memory>

#include "core/linearization/chunked.h"
#include "core/operators/linear_operator.h"
#include "core/operators/output_map.h"

namespace tc {

using LinearizationPtr = std::shared_ptr<ChunkedLinearization>;

/// A = √W (I − 1wᵀ/Σw) J, [N·outputs, P]; J itself without weights and centring.
OperatorPtr jacobian(LinearizationPtr linearization, RowWeights weights = {});

/// A Aᵀ, [N·outputs, N·outputs]: the neural tangent kernel (ntk.cc).
OperatorPtr ntk(LinearizationPtr linearization, RowWeights weights = {},
                const StopToken& stop = {});
/// A Aᵀ of any A over outputs of rows, or with `trace` its sum over the outputs of each, [N, N].
OperatorPtr tangentKernel(const OperatorPtr& a, bool trace);

/// Jᵀ C J, [P, P]: linearize, apply J, apply C, apply Jᵀ.
OperatorPtr sandwich(LinearizationPtr linearization, std::shared_ptr<const OutputMap> map);

}  // namespace tc
