#pragma once

#include <utility>
#include <vector>

#include "core/operators/linear_operator.h"

namespace tc {

/// Σ Aᵢ. Throws Error ERR_SHAPE_MISMATCH or ERR_DTYPE_MISMATCH unless all agree.
OperatorPtr sum(std::vector<OperatorPtr> terms);

/// c A
OperatorPtr scaled(OperatorPtr a, double factor);

/// A + λ I for a square A.
OperatorPtr shifted(OperatorPtr a, double lambda);

/// A B
OperatorPtr product(OperatorPtr a, OperatorPtr b);

/// Aᵀ; A itself where it is symmetric.
OperatorPtr transposed(OperatorPtr a);

/// Half-open ranges of indices, [begin, end).
using IndexRanges = std::vector<std::pair<int64_t, int64_t>>;

/// The rows and columns of A within the ranges, in their order. Throws Error ERR_INVALID_ARGUMENT
/// for a range outside of A.
OperatorPtr submatrix(OperatorPtr a, IndexRanges rows, IndexRanges cols);

}  // namespace tc
