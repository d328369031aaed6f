#pragma once

#include "core/solvers/eigsh.h"

namespace tc {

/// The k wanted eigenpairs by forming all of the matrix; near `options.sigma` where that is given.
EigshResult denseEigsh(const LinearOperator& a, const EigshOptions& options, int64_t k,
                       const StopToken& stop);

/// Whether the matrix takes fewer products than a search of n unknowns has had, of `limit`.
bool isBetterDense(int64_t n, int64_t products, int64_t limit);

}  // namespace tc
