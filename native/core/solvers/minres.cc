#include "core/solvers/minres.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "core/profiler/stage.h"
#include "core/runtime/precision.h"
#include "core/solvers/linear_method.h"

namespace tc {
namespace {

/// The Lanczos process on A (preconditioned by M), v₁ ∝ r₀, which gives one column
/// (β, α, β') of the tridiagonal matrix in each step.
class Lanczos {
 public:
  Lanczos(System& system, const at::Tensor& r)
      : system_(system), r1_(r), r2_(r), y_(system.precondition(r)) {
    betaNext = rootOf(dotOf(r, y_));
  }

  double alpha = 0;
  double beta = 0;      ///< of the step before
  double betaNext = 0;  ///< NaN where M is not positive definite, infinity after NaN

  /// Advances and returns the Lanczos vector of this step.
  at::Tensor step() {
    const double scale = 1 / betaNext;
    const at::Tensor v = y_ * scale;
    at::Tensor av = system_.apply(v);
    if (!first_) av.sub_(r1_, betaNext / beta);
    alpha = dotOf(v, av);
    av.sub_(r2_, alpha / betaNext);
    r1_ = r2_;
    r2_ = av;
    y_ = system_.precondition(av);
    beta = betaNext;
    betaNext = rootOf(dotOf(r2_, y_));
    first_ = false;
    return v;
  }

 private:
  /// NaN below zero; infinity for what is no number itself.
  static double rootOf(double square) {
    if (!std::isfinite(square)) return std::numeric_limits<double>::infinity();
    return square >= 0 ? std::sqrt(square) : std::numeric_limits<double>::quiet_NaN();
  }

  System& system_;
  at::Tensor r1_;
  at::Tensor r2_;
  at::Tensor y_;
  bool first_ = true;
};

/// What a β = √(rᵀM r) that is no number says.
Ending preconditionerEnding(double beta) {
  if (beta == std::numeric_limits<double>::infinity())
    return {"nan", "a product with the operator or the preconditioner gave NaN or infinity"};
  return {"preconditioner", "the preconditioner is not positive definite"};
}

std::optional<Ending> sweep(System& system, const at::Tensor& r) {
  const double negligible = 100 * epsilonOf(r);
  const double flat = std::sqrt(epsilonOf(r));
  Lanczos lanczos(system, r);
  if (!(lanczos.betaNext > 0 && std::isfinite(lanczos.betaNext)))
    return preconditionerEnding(lanczos.betaNext);
  // With a preconditioner the recurrence knows the residual's M-norm; ‖r‖ follows in proportion.
  const double start = lanczos.betaNext;
  const double proportion = system.start() / start;
  double phiBar = start;
  double deltaBar = 0;
  double epsilon = 0;
  double cosine = -1;
  double sine = 0;
  double largestPivot = 0;
  at::Tensor w = at::zeros_like(r);
  at::Tensor wBefore = w;
  while (system.goesOn()) {
    const profiling::Stage iteration("torch_curvature::minres_iteration");
    const at::Tensor v = lanczos.step();
    if (!std::isfinite(lanczos.alpha))
      return Ending{"nan", "a product with the operator gave NaN or infinity"};
    if (!std::isfinite(lanczos.betaNext)) return preconditionerEnding(lanczos.betaNext);
    // The rotation before, then the new one, on the column of the tridiagonal matrix.
    const double delta = cosine * deltaBar + sine * lanczos.alpha;
    const double gammaBar = sine * deltaBar - cosine * lanczos.alpha;
    const double epsilonBefore = epsilon;
    epsilon = sine * lanczos.betaNext;
    deltaBar = -cosine * lanczos.betaNext;
    const double gamma = std::hypot(gammaBar, lanczos.betaNext);
    system.sizeOfA = std::max({system.sizeOfA, std::abs(lanczos.alpha), lanczos.betaNext});
    largestPivot = std::max(largestPivot, gamma);
    // ‖A r‖/‖r‖ of the residual so far (Paige & Saunders): x is then the least-squares solution
    // of a singular system. The pivot says the same of the step's direction. Further steps would
    // only add rounding; the outer loop tries again from the true residual.
    if (std::hypot(gammaBar, deltaBar) <= system.sizeOfA * flat ||
        gamma <= largestPivot * negligible) {
      system.brokeOff = true;
      break;
    }
    cosine = gammaBar / gamma;
    sine = lanczos.betaNext / gamma;
    const double phi = cosine * phiBar;
    phiBar *= sine;
    if (!std::isfinite(phi)) return Ending{"nan", "the iteration gave NaN or infinity"};

    const at::Tensor wBeforeLast = wBefore;
    wBefore = w;
    w = (v - wBeforeLast * epsilonBefore - wBefore * delta).div_(gamma);
    system.d.add_(w, phi);
    if (auto ending = system.advance(phiBar * proportion)) return ending;
    if (lanczos.betaNext <= system.sizeOfA * negligible) {  // the Krylov space is exhausted
      system.brokeOff = true;
      break;
    }
  }
  return std::nullopt;
}

}  // namespace

SolverResult minres(const LinearOperator& a, const at::Tensor& b, const SolverOptions& options,
                    const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::minres");
  return solveBySweeps(
      a, b, options, stop,
      "the residual no longer falls: the operator is singular, or nearly so, and the system has no "
      "solution, or rounding keeps the tolerance out of reach (of a definite operator, try cg)",
      sweep);
}

namespace {

const Rows<SolverMethod> kRows(solverMethods(), {{"minres", linearMethod<minres>}});

}  // namespace

}  // namespace tc
