#include "core/solvers/cg.h"

#include <ATen/TensorOperators.h>
#include <c10/util/StringUtil.h>

#include <cmath>
#include <limits>

namespace tc {
namespace {

SolverRecord solve(const LinearOperator& a, const at::Tensor& b, at::Tensor& x, int64_t index,
                   const SolverOptions& options, const StopToken& stop) {
  const auto precondition = [&](const at::Tensor& r) {
    return options.preconditioner ? options.preconditioner->matvec(r, stop) : r;
  };
  const double target = options.tolerance * normOf(b);
  const int64_t limit = iterationLimit(a, options);
  SolverRecord record;
  const auto end = [&](bool converged, const char* reason, std::string message) {
    record.converged = converged;
    record.reason = reason;
    record.message = std::move(message);
    return record;
  };

  at::Tensor r = options.x0.defined() ? b - a.matvec(x, stop) : b.clone();
  record.residualNorm = normOf(r);
  at::Tensor best = x;
  double bestNorm = std::numeric_limits<double>::infinity();
  while (true) {  // once, and again from the true residual where the recurrence has drifted from it
    if (!std::isfinite(record.residualNorm))
      return end(false, "nan",
                 "the right-hand side, the start or the operator holds NaN or infinity");
    if (record.residualNorm <= target) return end(true, "converged", "");
    if (!(record.residualNorm < bestNorm / 2)) {
      if (record.residualNorm > bestNorm) {
        x.copy_(best);
        record.residualNorm = bestNorm;
      }
      return end(false, "stagnation",
                 "rounding keeps the residual above the tolerance; use a larger one or float64");
    }
    best = x.clone();
    bestNorm = record.residualNorm;
    at::Tensor z = precondition(r);
    at::Tensor p = z.clone();
    double rz = dotOf(r, z);
    while (record.residualNorm > target) {
      if (record.iterations >= limit) {
        record.residualNorm = normOf(b - a.matvec(x, stop));
        if (record.residualNorm <= target) return end(true, "converged", "");
        return end(false, "maxIterations",
                   "no convergence within " + std::to_string(limit) + " iterations");
      }
      if (rz <= 0)
        return end(false, "preconditioner", "the preconditioner is not positive definite");
      const at::Tensor ap = a.matvec(p, stop);
      const double curvature = dotOf(p, ap);
      if (!std::isfinite(curvature))
        return end(false, "nan", "a product with the operator gave NaN or infinity");
      if (curvature <= 0) {
        return end(false, "indefinite",
                   "the operator is not positive definite (a direction has curvature " +
                       c10::str(curvature) + "); use minres, or damp it");
      }
      const double alpha = rz / curvature;
      x.add_(p, alpha);
      r.sub_(ap, alpha);
      record.residualNorm = normOf(r);
      ++record.iterations;
      if (options.onIteration &&
          !options.onIteration(index, record.iterations, record.residualNorm))
        return end(false, "stopped", "stopped by onIteration");
      if (!std::isfinite(record.residualNorm))
        return end(false, "nan", "the iteration gave NaN or infinity");
      z = precondition(r);
      const double next = dotOf(r, z);
      p.mul_(next / rz).add_(z);
      rz = next;
    }
    r = b - a.matvec(x, stop);
    record.residualNorm = normOf(r);
  }
}

}  // namespace

SolverResult cg(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                const StopToken& stop) {
  return solveEach(a, b, options, [&](const at::Tensor& one, at::Tensor& x, int64_t index) {
    return solve(a, one, x, index, options, stop);
  });
}

}  // namespace tc
