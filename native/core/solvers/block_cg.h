#pragma once

#include "core/solvers/solver.h"

namespace tc {

/// Conjugate gradients for all right-hand sides b, [k, n], in one Krylov space (O'Leary 1980, "The
/// block conjugate gradient algorithm and related methods"), with the residuals kept orthonormal by
/// QR, so that dependent ones do no harm (Dubrulle 2001, "Retooling the method of block conjugate
/// gradients", BCGrQ), and the directions where there is a preconditioner. Each iteration
/// multiplies k vectors at once, and is one for every right-hand side; there are fewer of them than
/// for each by itself. Throws as `cg`.
SolverResult blockCg(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                     const StopToken& stop);

}  // namespace tc
