#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "core/operators/linear_operator.h"

namespace tc {

/// Which end of the spectrum; names as in SciPy's `eigsh`.
enum class Which {
  kLargestMagnitude,   ///< LM
  kSmallestMagnitude,  ///< SM
  kLargest,            ///< LA
  kSmallest,           ///< SA
};

/// The ends called `LM`, `SM`, `LA`, `SA`. Throws Error ERR_INVALID_ARGUMENT.
Which findWhich(const std::string& name);

struct EigshOptions {
  int64_t k = 6;
  Which which = Which::kLargestMagnitude;
  double tolerance = 0;       ///< on ‖A q − λ q‖ relative to |λ|; 0: what the precision allows
  int64_t maxIterations = 0;  ///< products with the operator; 0: 10 n, at least 1000
  int64_t basis = 0;          ///< Lanczos vectors; 0: max(2 k + 1, 20)
  uint64_t seed = 0;
};

struct EigshResult {
  at::Tensor eigenvalues;    ///< [k], ascending
  at::Tensor eigenvectors;   ///< [k, n]: each row one, of norm 1
  at::Tensor residualNorms;  ///< [k], ‖A q − λ q‖ by the Lanczos relation
  int64_t iterations = 0;    ///< products with the operator
  bool converged = false;
  std::string reason;   ///< `converged`, `maxIterations`, `nan`
  std::string message;  ///< for people; empty when converged
};

/// Some eigenvalues and eigenvectors of a symmetric A by thick-restart Lanczos (Wu & Simon 2000).
/// Throws Error ERR_SHAPE_MISMATCH, ERR_INVALID_ARGUMENT (k not within 1 to n), ERR_OUT_OF_MEMORY.
EigshResult eigsh(const LinearOperator& a, const EigshOptions& options, const StopToken& stop);

}  // namespace tc
