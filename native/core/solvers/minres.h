#pragma once

#include "core/solvers/solver.h"

namespace tc {

/// The minimum-residual method (Paige & Saunders 1975) for a symmetric A, which may be indefinite
/// or singular, and one or several right-hand sides b, [n] or [k, n]. Minimizes ‖b − A x‖, or its
/// M⁻¹-norm with a preconditioner, which must be positive definite.
SolverResult minres(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                    const StopToken& stop);

}  // namespace tc
