#include "core/solvers/solver.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/dot.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "core/error.h"

namespace tc {
namespace {

void checkArguments(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options) {
  requireSquare(a, "a linear solver");
  if (b.dim() < 1 || b.dim() > 2 || b.size(-1) != a.rows()) {
    throw Error("ERR_SHAPE_MISMATCH", "b should have one element for each of the operator's " +
                                          std::to_string(a.rows()) + " rows");
  }
  if (b.dtype() != a.options().dtype())
    throw Error("ERR_DTYPE_MISMATCH", "b should have the precision of the operator");
  if (options.x0.defined()) {
    if (options.x0.sizes() != b.sizes())
      throw Error("ERR_SHAPE_MISMATCH", "x0 should have the shape of b");
    if (options.x0.dtype() != b.dtype())
      throw Error("ERR_DTYPE_MISMATCH", "x0 should have the precision of b");
  }
  if (options.preconditioner &&
      (options.preconditioner->rows() != a.rows() || options.preconditioner->cols() != a.rows())) {
    throw Error("ERR_SHAPE_MISMATCH", "the preconditioner should have the shape of the operator");
  }
  if (!(options.tolerance >= 0))
    throw Error("ERR_INVALID_ARGUMENT", "tolerance should not be negative");
}

Ending solveOne(System& system, const at::Tensor& b, const char* stagnation, const Sweep& sweep) {
  SolverRecord& record = system.record;
  at::Tensor& x = system.x;
  at::Tensor r = system.options.x0.defined() ? b - system.a.matvec(x, system.stop) : b.clone();
  at::Tensor best = x;
  double bestNorm = std::numeric_limits<double>::infinity();
  while (true) {
    record.residualNorm = normOf(r);
    if (!std::isfinite(record.residualNorm)) {
      return {"nan", "the right-hand side, the start or the operator holds NaN or infinity"};
    }
    if (record.residualNorm <= system.target) return {"converged", ""};
    const bool progresses = record.residualNorm < bestNorm / 2;
    if (record.residualNorm > bestNorm) {
      x.copy_(best);
      record.residualNorm = bestNorm;
    }
    if (record.iterations >= system.limit) {
      return {"maxIterations",
              "no convergence within " + std::to_string(system.limit) + " iterations"};
    }
    if (!progresses) return {"stagnation", stagnation};
    best = x.clone();
    bestNorm = record.residualNorm;
    if (auto ending = sweep(system, r)) return *ending;
    r = b - system.a.matvec(x, system.stop);
  }
}

}  // namespace

at::Tensor System::precondition(const at::Tensor& r) const {
  return options.preconditioner ? options.preconditioner->matvec(r, stop) : r;
}

std::optional<Ending> System::advance(double residualNorm) {
  record.residualNorm = residualNorm;
  ++record.iterations;
  if (options.onIteration && !options.onIteration(index, record.iterations, residualNorm))
    return Ending{"stopped", "stopped by onIteration"};
  if (!std::isfinite(residualNorm)) return Ending{"nan", "the iteration gave NaN or infinity"};
  return std::nullopt;
}

SolverResult solveBySweeps(const LinearOperator& a, const at::Tensor& b,
                           const SolverOptions& options, const StopToken& stop,
                           const char* stagnation, const Sweep& sweep) {
  checkArguments(a, b, options);
  const int64_t limit = options.maxIterations > 0 ? options.maxIterations : 10 * a.rows();
  SolverResult result{options.x0.defined() ? options.x0.clone() : at::zeros_like(b), {}};
  const auto solve = [&](const at::Tensor& one, const at::Tensor& x, int64_t index) {
    System system{a, options, stop, index, options.tolerance * normOf(one), limit, x, {}};
    Ending ending = solveOne(system, one, stagnation, sweep);
    system.record.converged = std::string_view(ending.reason) == "converged";
    system.record.reason = ending.reason;
    system.record.message = std::move(ending.message);
    result.records.push_back(std::move(system.record));
  };
  if (b.dim() == 1) {
    solve(b, result.x, 0);
  } else {
    for (int64_t i = 0; i < b.size(0); ++i) solve(b[i], result.x[i], i);
  }
  return result;
}

double normOf(const at::Tensor& x) { return at::linalg_vector_norm(x).item<double>(); }

double epsilonOf(const at::Tensor& tensor) {
  return tensor.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                             : std::numeric_limits<float>::epsilon();
}

double dotOf(const at::Tensor& x, const at::Tensor& y) { return at::dot(x, y).item<double>(); }

}  // namespace tc
