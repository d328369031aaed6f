#pragma once

#include "core/operators/jacobian.h"

namespace tc {

/// Jᵀ W (I − 1wᵀ/Σw) J, [P, P]; JᵀJ without weights and centring.
OperatorPtr gramian(LinearizationPtr linearization, RowWeights weights = {});

}  // namespace tc
