#pragma once

#include "core/solvers/method.h"
#include "core/solvers/solver.h"

namespace tc {

using LinearSolver = SolverResult (*)(const LinearOperator& a, const at::Tensor& b,
                                      const SolverOptions& options, const StopToken& stop);

/// A solver of A x = b as a method: takes `b` and `x0`, flat, of `count` right-hand sides, and the
/// other options of `SolverOptions`; gives `x` and a record for each right-hand side. Throws Error
/// ERR_SHAPE_MISMATCH where these do not fit.
Record solveLinear(LinearSolver solver, const LinearOperator& a, const Arguments& given,
                   const StopToken& stop);

template <LinearSolver kSolver>
Record linearMethod(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  return solveLinear(kSolver, a, given, stop);
}

}  // namespace tc
