#pragma once

#include "core/solvers/estimators.h"

namespace tc {

/// tr A by `samples` products, at least 4, of which a half goes into an orthonormal basis Q of the
/// images of random vectors ω_i, and each ω_i in turn estimates what the basis without its own
/// image misses (Epperly, Tropp & Webber 2024, "XTrace: making the most of every sample in
/// stochastic trace estimation", algorithm XTrace with normalized Gaussian vectors). Exact up to
/// rounding where the rank of A is below half of `samples`, and with a standard error of 0 where
/// half of `samples` is n. A need not be symmetric. NaN where the operator gives NaN.
TraceEstimate xtrace(const LinearOperator& a, int64_t samples, uint64_t seed,
                     const StopToken& stop);

/// diag A likewise (XDiag of the same paper, with ω_i of Probes::bounded()); half of the products
/// are with Aᵀ.
DiagonalEstimate xdiag(const LinearOperator& a, int64_t samples, uint64_t seed,
                       const StopToken& stop);

}  // namespace tc
