#pragma once

#include "core/solvers/solver.h"

namespace tc {

/// Preconditioned conjugate gradients (Hestenes & Stiefel 1952; Saad 2003, algorithm 9.1) for a
/// symmetric positive definite A and one or several right-hand sides b, [n] or [k, n]. The residual
/// of the recurrence is replaced by b − A x before convergence is claimed.
SolverResult cg(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                const StopToken& stop);

}  // namespace tc
