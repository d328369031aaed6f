#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/operators/kfac/output_gradients.h"
#include "core/operators/kfac/plan.h"
#include "core/program/point.h"

namespace tc {

/// Sums over rows for one block. They add up over parts of the data.
struct FactorSums {
  at::Tensor input;   ///< Σ w a aᵀ, [g, d, d], or its diagonal, [g, d]; undefined but for layers
  at::Tensor output;  ///< Σ q g gᵀ, likewise
  double weight = 0;  ///< what the mean of a aᵀ divides by: Σ w over rows, or positions
};

/// One pass over all rows: the sums for each block.
std::vector<FactorSums> factorSums(const Point& point, const Plan& plan,
                                   const OutputGradients& gradients, int64_t chunkSize,
                                   const StopToken& stop);

}  // namespace tc
