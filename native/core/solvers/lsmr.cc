#include "core/solvers/lsmr.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

#include "core/profiler/stage.h"
#include "core/runtime/error.h"
#include "core/solvers/method.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

/// A plane rotation: c a + s b = r, c b − s a = 0.
struct Rotation {
  double c;
  double s;
  double r;

  Rotation(double a, double b) : r(std::hypot(a, b)) {
    c = r > 0 ? a / r : 1;
    s = r > 0 ? b / r : 0;
  }
};

/// A U = …: the bidiagonalization of A begun with u ∝ r. α, β and the vectors u, v of a step.
class Bidiagonalisation {
 public:
  Bidiagonalisation(const LinearOperator& a, const at::Tensor& r, const StopToken& stop)
      : a_(a), stop_(stop), u_(r.clone()), v_(at::zeros({a.cols()}, a.options())) {
    beta = normalize(u_);
    if (beta > 0) v_ = a_.rmatvec(u_, stop_);
    alpha = normalize(v_);
  }

  double alpha = 0;
  double beta = 0;
  const at::Tensor& v() const { return v_; }

  void step() {
    u_ = a_.matvec(v_, stop_).sub_(u_, alpha);
    beta = normalize(u_);
    if (!(beta > 0)) return;
    v_ = a_.rmatvec(u_, stop_).sub_(v_, beta);
    alpha = normalize(v_);
  }

 private:
  static double normalize(at::Tensor& x) {
    const double norm = normOf(x);
    if (norm > 0) x.div_(norm);
    return norm;
  }

  const LinearOperator& a_;
  const StopToken& stop_;
  at::Tensor u_;
  at::Tensor v_;
};

struct Ending {
  const char* reason;
  const char* message;
};

/// SciPy's tests, in the order of their precedence.
Ending endingOf(double test1, double test2, double test3, double roundedTest1, double rtol,
                const LsmrOptions& options, bool last) {
  const double ctol = options.conlim > 0 ? 1 / options.conlim : 0;
  const char* const ill =
      "the condition of A seems to be larger than conlim; damp it, or raise conlim";
  if (test1 <= rtol) return {"solution", ""};
  if (test2 <= options.atol) return {"leastSquares", ""};
  if (test3 <= ctol) return {"condition", ill};
  if (1 + roundedTest1 <= 1) return {"solution", ""};
  if (1 + test2 <= 1) return {"leastSquares", ""};
  if (1 + test3 <= 1) return {"condition", ill};
  if (last) return {"maxIterations", "no convergence within the iterations allowed"};
  return {nullptr, ""};
}

void checkArguments(const LinearOperator& a, const at::Tensor& b, const LsmrOptions& options) {
  if (b.dim() != 1 || b.numel() != a.rows())
    throw Error("ERR_SHAPE_MISMATCH", "b should have one element for each of the operator's " +
                                          std::to_string(a.rows()) + " rows");
  if (b.dtype() != a.options().dtype())
    throw Error("ERR_DTYPE_MISMATCH", "b should have the precision of the operator");
  if (options.x0.defined() && (options.x0.dim() != 1 || options.x0.numel() != a.cols()))
    throw Error("ERR_SHAPE_MISMATCH", "x0 should have one element for each of the operator's " +
                                          std::to_string(a.cols()) + " columns");
  if (!(options.atol >= 0 && options.btol >= 0 && options.conlim >= 0 &&
        std::isfinite(options.damp)) ||
      options.maxIterations.value_or(0) < 0)
    throw Error("ERR_INVALID_ARGUMENT",
                "atol, btol, conlim and maxIterations should not be negative, damp finite");
}

Ending iterate(LsmrResult& result, const LinearOperator& a, const at::Tensor& b,
               const LsmrOptions& options, const StopToken& stop) {
  at::Tensor& x = result.x;
  const double normB = normOf(b);
  Bidiagonalisation process(a, options.x0.defined() ? b - a.matvec(x, stop) : b, stop);
  const double start = process.beta;
  if (!std::isfinite(start) || !std::isfinite(process.alpha))
    return {"nan", "the right-hand side, the start or a product holds NaN or infinity"};
  if (start == 0) return {"solution", ""};
  if (process.alpha == 0) return {"leastSquares", ""};
  if (normB == 0) {
    x.zero_();
    return {"solution", ""};
  }
  const int64_t limit = options.maxIterations.value_or(std::min(a.rows(), a.cols()));

  at::Tensor h = process.v().clone();
  at::Tensor hBar = at::zeros_like(x);
  double zetaBar = process.alpha * start;
  double alphaBar = process.alpha;
  double rho = 1, rhoBar = 1, cBar = 1, sBar = 0;
  // For ‖r‖:
  double betaDD = start, betaD = 0, rhoDOld = 1, tauTildeOld = 0, thetaTilde = 0, zeta = 0, d = 0;
  // For ‖A‖ and its condition:
  double normA2 = process.alpha * process.alpha;
  double largest = 0, smallest = std::numeric_limits<double>::max();

  while (result.iterations < limit) {
    const profiling::Stage iteration("torch_curvature::lsmr_iteration");
    ++result.iterations;
    process.step();
    const auto [alpha, beta] = std::pair(process.alpha, process.beta);
    if (!std::isfinite(alpha) || !std::isfinite(beta))
      return {"nan", "a product with the operator gave NaN or infinity"};

    const Rotation hat(alphaBar, options.damp);
    const double rhoOld = rho;
    const Rotation q(hat.r, beta);
    rho = q.r;
    const double thetaNew = q.s * alpha;
    alphaBar = q.c * alpha;

    const double rhoBarOld = rhoBar;
    const double zetaOld = zeta;
    const double thetaBar = sBar * rho;
    const double rhoTemp = cBar * rho;
    const Rotation bar(rhoTemp, thetaNew);
    cBar = bar.c, sBar = bar.s, rhoBar = bar.r;
    zeta = cBar * zetaBar;
    zetaBar = -sBar * zetaBar;

    hBar.mul_(-(thetaBar * rho / (rhoOld * rhoBarOld))).add_(h);
    x.add_(hBar, zeta / (rho * rhoBar));
    h.mul_(-(thetaNew / rho)).add_(process.v());

    const double betaAcute = hat.c * betaDD;
    const double betaCheck = -hat.s * betaDD;
    const double betaHat = q.c * betaAcute;
    betaDD = -q.s * betaAcute;
    const double thetaTildeOld = thetaTilde;
    const Rotation tilde(rhoDOld, thetaBar);
    thetaTilde = tilde.s * rhoBar;
    rhoDOld = tilde.c * rhoBar;
    betaD = -tilde.s * betaD + tilde.c * betaHat;
    tauTildeOld = (zetaOld - thetaTildeOld * tauTildeOld) / tilde.r;
    const double tauD = (zeta - thetaTilde * tauTildeOld) / rhoDOld;
    d += betaCheck * betaCheck;
    const double normR = std::sqrt(d + (betaD - tauD) * (betaD - tauD) + betaDD * betaDD);

    normA2 += beta * beta;
    result.normA = std::sqrt(normA2);
    normA2 += alpha * alpha;
    largest = std::max(largest, rhoBarOld);
    if (result.iterations > 1) smallest = std::min(smallest, rhoBarOld);
    result.conditionA = std::max(largest, rhoTemp) / std::min(smallest, rhoTemp);
    if (!std::isfinite(normR)) return {"nan", "the iteration gave NaN or infinity"};

    const double normX = normOf(x);
    const double test1 = normR / normB;
    const double test2 = result.normA * normR > 0 ? std::abs(zetaBar) / (result.normA * normR)
                                                  : std::numeric_limits<double>::infinity();
    const double relative = result.normA * normX / normB;
    const Ending ending =
        endingOf(test1, test2, 1 / result.conditionA, test1 / (1 + relative),
                 options.btol + options.atol * relative, options, result.iterations >= limit);
    if (ending.reason != nullptr) return ending;
    if (options.onIteration && !options.onIteration(0, result.iterations, normR))
      return {"stopped", "stopped by onIteration"};
  }
  return {"maxIterations", "no convergence within the iterations allowed"};
}

}  // namespace

LsmrResult lsmr(const LinearOperator& a, const at::Tensor& b, const LsmrOptions& options,
                const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::lsmr");
  checkArguments(a, b, options);
  LsmrResult result;
  result.x = options.x0.defined() ? options.x0.clone() : at::zeros({a.cols()}, a.options());
  const Ending ending = iterate(result, a, b, options, stop);
  result.reason = ending.reason;
  result.message = ending.message;
  const std::string_view reason = ending.reason;
  result.converged = reason == "solution" || reason == "leastSquares";
  const at::Tensor r = b - a.matvec(result.x, stop);
  result.residualNorm = normOf(r);
  result.normalResidualNorm = normOf(a.rmatvec(r, stop) - result.x * (options.damp * options.damp));
  return result;
}

namespace {

Record run(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  const auto here = [&](const char* name) {
    const at::Tensor vector = given.tensor(name);
    return vector.defined() ? vector.to(a.options().device()) : vector;
  };
  LsmrOptions options;
  options.damp = given.number("damp", options.damp);
  options.atol = given.number("atol", options.atol);
  options.btol = given.number("btol", options.btol);
  options.conlim = given.number("conlim", options.conlim);
  options.maxIterations = given.integer("maxIterations");
  options.x0 = here("x0");
  options.onIteration = given.onIteration("onIteration");
  const at::Tensor b = here("b");
  if (!b.defined()) throw Error("ERR_INVALID_ARGUMENT", "lsmr needs a right-hand side b");
  const LsmrResult result = lsmr(a, b, options, stop);
  return {{{"x", result.x},
           {"iterations", result.iterations},
           {"residualNorm", result.residualNorm},
           {"normalResidualNorm", result.normalResidualNorm},
           {"normA", result.normA},
           {"conditionA", result.conditionA},
           {"converged", result.converged},
           {"reason", result.reason},
           {"message", result.message}}};
}

const Rows<SolverMethod> kRows(solverMethods(), {{"lsmr", run}});

}  // namespace
}  // namespace tc
