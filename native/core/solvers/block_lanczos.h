#pragma once

#include "core/solvers/eigsh.h"

namespace tc {

/// The k wanted eigenpairs by Lanczos with blocks of `options.block` vectors (Golub & Underwood
/// 1977), thick restarts and Rayleigh & Ritz on all of the basis. Each step multiplies a block at
/// once. What converged is verified from a fresh random block, as in `eigsh`, and where the matrix
/// takes fewer products it is formed and solved. `basis` and `limit`, of products, are at least k
/// plus two blocks.
EigshResult blockLanczos(const LinearOperator& a, const EigshOptions& options, int64_t k,
                         int64_t basis, int64_t limit, const StopToken& stop);

/// Says how the search for k pairs ended that had `limit` products: whether what was asked for
/// converged, and whether it was verified that nothing is missing.
void conclude(EigshResult& result, int64_t k, int64_t limit, bool verified, bool converged);

/// What the search for k pairs ends with where the operator gave NaN.
EigshResult notANumber(const LinearOperator& a, int64_t k, int64_t iterations);

}  // namespace tc
