#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>

#include "core/operators/linear_operator.h"

namespace tc {

/// Which end of the spectrum; names as in SciPy's `eigsh`.
enum class Which {
  kLargestMagnitude,   ///< LM
  kSmallestMagnitude,  ///< SM
  kLargest,            ///< LA
  kSmallest,           ///< SA
  kBothEnds,           ///< BE: half from each end, one more from the high one for an odd k
};

/// The ends called `LM`, `SM`, `LA`, `SA`, `BE`. Throws Error ERR_INVALID_ARGUMENT.
Which findWhich(const std::string& name);

/// The most unknowns for which the matrix itself is formed and solved: where Lanczos takes more
/// products than that would, and for eigenvalues in the middle of the spectrum.
constexpr int64_t kMostDenseUnknowns = 2048;

struct EigshOptions {
  int64_t k = 0;  ///< 0: 6, or n where that is less
  Which which = Which::kLargestMagnitude;
  double tolerance = 0;       ///< on ‖A q − λ q‖ relative to |λ|; 0: what the precision allows
  int64_t maxIterations = 0;  ///< products with the operator; 0: 10 n, at least 1000
  int64_t basis = 0;          ///< Lanczos vectors; 0: max(2 k + 1, 20), of blocks 2 k + 12 block
  int64_t block = 1;          ///< vectors that are multiplied at once
  /// Eigenvalues near it instead: `which` is of 1/(λ − σ), by products with (A − σI)⁻¹.
  std::optional<double> sigma;
  uint64_t seed = 0;
};

struct EigshResult {
  at::Tensor eigenvalues;    ///< [k], ascending; fewer than k where there were fewer products
  at::Tensor eigenvectors;   ///< [k, n]: each row one, orthonormal
  at::Tensor residualNorms;  ///< [k], ‖A q − λ q‖; by products where it converged
  int64_t iterations = 0;    ///< products with the operator
  bool converged = false;
  std::string reason;   ///< `converged`, `maxIterations`, `stagnation`, `nan`
  std::string message;  ///< for people; empty when converged
};

/// Some eigenvalues and eigenvectors of a symmetric A by thick-restart Lanczos (Wu & Simon 2000).
/// One Krylov space holds one vector of each eigenspace, so what converged is verified: a fresh
/// random direction, orthogonal to it, must find nothing that is further out, or the search goes
/// on. With a block of several vectors one space begun from all of them holds as many of each
/// eigenspace (block_lanczos.h). Where the basis would span the whole space, for SM, and for up to
/// kMostDenseUnknowns that have not converged after n products (at least 200), the matrix is formed
/// and solved.
///
/// Throws Error ERR_SHAPE_MISMATCH, ERR_INVALID_ARGUMENT (k not within 1 to n, not symmetric),
/// ERR_UNSUPPORTED_OP (SM of more than kMostDenseUnknowns unknowns), ERR_OUT_OF_MEMORY.
EigshResult eigsh(const LinearOperator& a, const EigshOptions& options, const StopToken& stop);

}  // namespace tc
