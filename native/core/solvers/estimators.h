#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "core/operators/linear_operator.h"
#include "core/solvers/method.h"

namespace tc {

enum class TraceMethod { kHutchinson, kHutchPlusPlus };

struct TraceEstimate {
  double estimate = 0;
  /// Of the mean over the probes: NaN for fewer than two, 0 where the trace is exact.
  double standardError = 0;
  int64_t products = 0;  ///< products with the operator
};

/// Mean and standard error of the mean of at least one value, each by one product.
TraceEstimate summarize(const std::vector<double>& values);

/// `estimate`, `standardError` and `products`.
Record recordOf(const TraceEstimate& result);

/// tr A by `samples` products with random vectors. Hutchinson (1989): the mean of zᵀA z with
/// entries ±1. Hutch++ (Meyer, Musco, Musco & Woodruff 2021): a third of the products finds the
/// dominant subspace Q, a third its exact part tr(QᵀAQ), and Hutchinson the rest, which for a
/// positive semi-definite A falls like 1/samples rather than 1/√samples; with fewer than three
/// samples it is Hutchinson's. A need not be symmetric. NaN where the operator gives NaN.
TraceEstimate trace(const LinearOperator& a, TraceMethod method, int64_t samples, uint64_t seed,
                    const StopToken& stop);

/// ‖A‖²_F of any A as the mean of ‖A z‖² over `samples` random z with entries ±1, which is
/// Hutchinson's estimate of tr AᵀA.
TraceEstimate squaredFrobeniusNorm(const LinearOperator& a, int64_t samples, uint64_t seed,
                                   const StopToken& stop);

struct DiagonalEstimate {
  at::Tensor diagonal;       ///< [n]
  at::Tensor standardError;  ///< [n], of the mean over the probes; NaN for fewer than two
};

/// diag A as the mean of z ⊙ A z over random z with entries ±1 (Bekas, Kokiopoulou & Saad 2007).
DiagonalEstimate estimateDiagonal(const LinearOperator& a, int64_t samples, uint64_t seed,
                                  const StopToken& stop);

}  // namespace tc
