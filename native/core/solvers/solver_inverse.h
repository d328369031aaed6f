#pragma once

#include "core/solvers/linear_method.h"

namespace tc {

/// A⁻¹ for a symmetric A, each product by a solver. One that reaches neither its tolerance nor a
/// residual of `accepted` ‖b‖ throws Error ERR_NO_CONVERGENCE.
OperatorPtr solverInverse(OperatorPtr a, LinearSolver solver, SolverOptions options,
                          double accepted = 0);

}  // namespace tc
