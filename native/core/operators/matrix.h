#pragma once

#include "core/operators/linear_operator.h"

namespace tc {

/// A matrix that exists, [rows, cols]. `symmetric` is the caller's word.
OperatorPtr denseOperator(at::Tensor matrix, bool symmetric);

/// diag(d)
OperatorPtr diagonalOperator(at::Tensor diagonal);

}  // namespace tc
