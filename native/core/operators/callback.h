#pragma once

#include <functional>

#include "core/operators/linear_operator.h"

namespace tc {

/// Products that somebody else computes: A applied to each of k vectors, [k, cols] → [k, rows], or
/// Aᵀ, [k, rows] → [k, cols], where `transposed`. May block; should look at the stop token.
using ProductFunction =
    std::function<at::Tensor(const at::Tensor& vectors, bool transposed, const StopToken& stop)>;

/// An operator of any origin. What `product` returns is checked (Error ERR_SHAPE_MISMATCH,
/// ERR_DTYPE_MISMATCH); `symmetric` is the caller's word, as is `additive`: that the operator of
/// the data of several processes is the sum of theirs.
OperatorPtr callbackOperator(int64_t rows, int64_t cols, const at::TensorOptions& options,
                             bool symmetric, ProductFunction product, bool additive = true);

}  // namespace tc
