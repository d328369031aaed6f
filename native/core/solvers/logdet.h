#pragma once

#include "core/solvers/estimators.h"

namespace tc {

struct LogdetOptions {
  bool exact = false;   ///< by a factorization of the matrix itself
  int64_t probes = 10;  ///< random start vectors
  int64_t steps = 80;   ///< Lanczos steps for each, at most n
  uint64_t seed = 0;
};

/// ln det A = tr ln A of a symmetric positive definite A. By stochastic Lanczos quadrature (Ubaru,
/// Chen & Saad 2017, "Fast estimation of tr(f(A)) via stochastic Lanczos quadrature"): the mean
/// over the probes of n Σ w ln θ, whose standard error does not see what too few steps leave out;
/// or exactly, with a standard error of 0. Throws Error ERR_INVALID_ARGUMENT where A is seen not to
/// be positive definite or symmetric, ERR_OUT_OF_MEMORY. NaN where the operator gives NaN.
TraceEstimate logdet(const LinearOperator& a, const LogdetOptions& options, const StopToken& stop);

}  // namespace tc
