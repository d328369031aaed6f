#include "core/solvers/minres.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tc {
namespace {

/// The Lanczos process on A (preconditioned by M), v₁ ∝ r₀, which gives one column
/// (β, α, β') of the tridiagonal matrix in each step.
class Lanczos {
 public:
  Lanczos(const LinearOperator& a, const OperatorPtr& m, const at::Tensor& r, const StopToken& stop)
      : a_(a), m_(m), stop_(stop), r1_(r), r2_(r), y_(precondition(r)) {
    betaNext = rootOf(dotOf(r, y_));
  }

  double alpha = 0;
  double beta = 0;      ///< of the step before
  double betaNext = 0;  ///< NaN where M is not positive definite

  /// Advances and returns the Lanczos vector of this step.
  at::Tensor step() {
    const double scale = 1 / betaNext;
    const at::Tensor v = y_ * scale;
    at::Tensor av = a_.matvec(v, stop_);
    if (!first_) av.sub_(r1_, betaNext / beta);
    alpha = dotOf(v, av);
    av.sub_(r2_, alpha / betaNext);
    r1_ = r2_;
    r2_ = av;
    y_ = precondition(av);
    beta = betaNext;
    betaNext = rootOf(dotOf(r2_, y_));
    first_ = false;
    return v;
  }

 private:
  at::Tensor precondition(const at::Tensor& r) const { return m_ ? m_->matvec(r, stop_) : r; }
  static double rootOf(double square) {
    return square >= 0 ? std::sqrt(square) : std::numeric_limits<double>::quiet_NaN();
  }

  const LinearOperator& a_;
  const OperatorPtr& m_;
  const StopToken& stop_;
  at::Tensor r1_;
  at::Tensor r2_;
  at::Tensor y_;
  bool first_ = true;
};

SolverRecord solve(const LinearOperator& a, const at::Tensor& b, at::Tensor& x, int64_t index,
                   const SolverOptions& options, const StopToken& stop) {
  const double target = options.tolerance * normOf(b);
  const int64_t limit = iterationLimit(a, options);
  const double negligible = 100 * epsilonOf(b);
  const double flat = std::sqrt(epsilonOf(b));
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
    const bool progress = record.residualNorm < bestNorm / 2;
    if (record.residualNorm > bestNorm) {
      x.copy_(best);
      record.residualNorm = bestNorm;
    }
    if (record.iterations >= limit) {
      return end(false, "maxIterations",
                 "no convergence within " + std::to_string(limit) + " iterations");
    }
    if (!progress) {
      return end(false, "stagnation",
                 "the residual no longer falls: the system has no solution (the operator is "
                 "singular), or rounding keeps the tolerance out of reach");
    }
    best = x.clone();
    bestNorm = record.residualNorm;

    Lanczos lanczos(a, options.preconditioner, r, stop);
    if (std::isnan(lanczos.betaNext))
      return end(false, "preconditioner", "the preconditioner is not positive definite");
    // With a preconditioner the recurrence knows the residual's M-norm; ‖r‖ follows in proportion.
    const double start = lanczos.betaNext;
    const double proportion = record.residualNorm / start;
    double phiBar = start;
    double deltaBar = 0;
    double epsilon = 0;
    double cosine = -1;
    double sine = 0;
    double scaleOfA = 0;
    at::Tensor w = at::zeros_like(x);
    at::Tensor wBefore = w;
    while (phiBar * proportion > target && record.iterations < limit) {
      const at::Tensor v = lanczos.step();
      if (!std::isfinite(lanczos.alpha))
        return end(false, "nan", "a product with the operator gave NaN or infinity");
      if (std::isnan(lanczos.betaNext))
        return end(false, "preconditioner", "the preconditioner is not positive definite");
      // The rotation before, then the new one, on the column of the tridiagonal matrix.
      const double delta = cosine * deltaBar + sine * lanczos.alpha;
      const double gammaBar = sine * deltaBar - cosine * lanczos.alpha;
      const double epsilonBefore = epsilon;
      epsilon = sine * lanczos.betaNext;
      deltaBar = -cosine * lanczos.betaNext;
      const double gamma = std::hypot(gammaBar, lanczos.betaNext);
      scaleOfA = std::max({scaleOfA, std::abs(lanczos.alpha), lanczos.betaNext});
      // ‖A r‖/‖r‖ of the residual so far (Paige & Saunders): x is then the least-squares solution
      // of a singular system, and further steps only add rounding. Beyond it the outer loop tries
      // again.
      if (std::hypot(gammaBar, deltaBar) <= scaleOfA * flat) break;
      cosine = gammaBar / gamma;
      sine = lanczos.betaNext / gamma;
      const double phi = cosine * phiBar;
      phiBar *= sine;

      const at::Tensor wBeforeLast = wBefore;
      wBefore = w;
      w = (v - wBeforeLast * epsilonBefore - wBefore * delta).div_(gamma);
      x.add_(w, phi);
      ++record.iterations;
      record.residualNorm = phiBar * proportion;
      if (options.onIteration &&
          !options.onIteration(index, record.iterations, record.residualNorm))
        return end(false, "stopped", "stopped by onIteration");
      if (lanczos.betaNext <= scaleOfA * negligible) break;  // the Krylov space is exhausted
    }
    r = b - a.matvec(x, stop);
    record.residualNorm = normOf(r);
  }
}

}  // namespace

SolverResult minres(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                    const StopToken& stop) {
  return solveEach(a, b, options, [&](const at::Tensor& one, at::Tensor& x, int64_t index) {
    return solve(a, one, x, index, options, stop);
  });
}

}  // namespace tc
