#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/operators/arguments.h"
#include "core/operators/linear_operator.h"

namespace tc {

/// Names and defaults as in SciPy's `lsmr`.
struct LsmrOptions {
  double damp = 0;      ///< λ of min ‖b − A x‖² + λ² ‖x‖²
  double atol = 1e-6;   ///< relative error of A
  double btol = 1e-6;   ///< relative error of b
  double conlim = 1e8;  ///< ends where the estimated condition of A is larger; 0: never
  std::optional<int64_t> maxIterations;  ///< min(rows, cols) by default
  at::Tensor x0;                         ///< start, [cols]; may be undefined (zero)
  OnIteration onIteration;               ///< may be empty
};

struct LsmrResult {
  at::Tensor x;  ///< [cols]
  int64_t iterations = 0;
  double residualNorm = 0;        ///< ‖b − A x‖ of the x returned, by a product
  double normalResidualNorm = 0;  ///< ‖Aᵀ(b − A x) − λ² x‖, by a product
  double normA = 0;               ///< estimate of the Frobenius norm of [A; λI]
  double conditionA = 0;          ///< estimate of its condition
  bool converged = false;
  /// `solution` (A x = b to the tolerances), `leastSquares` (x is the least-squares solution to
  /// them), `condition` (it seems larger than conlim), `maxIterations`, `stopped`, `nan`.
  std::string reason;
  std::string message;  ///< for people; empty when converged
};

/// min ‖b − A x‖² + λ² ‖x‖² for any A, by Golub & Kahan's bidiagonalization (Fong & Saunders 2011,
/// "LSMR: an iterative algorithm for sparse least-squares problems"); of several solutions, from a
/// start of zero, the one of least norm. Throws Error ERR_SHAPE_MISMATCH, ERR_DTYPE_MISMATCH,
/// ERR_INVALID_ARGUMENT, and ABORTED through the operator.
LsmrResult lsmr(const LinearOperator& a, const at::Tensor& b, const LsmrOptions& options,
                const StopToken& stop);

}  // namespace tc
