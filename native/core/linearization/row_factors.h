#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace tc {

/// Symmetric matrices over the outputs of each row, Cₙ = Σₖ λₖₙ sₖₙ sₖₙᵀ.
struct RowFactors {
  at::Tensor vectors;  ///< s, [k, n, outputs of a row]
  at::Tensor weights;  ///< λ, [k, n]
};

/// The factors of rows [begin, end). For what is block-diagonal over the rows.
using RowFactorsOf = std::function<RowFactors(int64_t begin, int64_t end)>;

}  // namespace tc
