#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/solvers/least_squares.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

/// LSMR (Fong & Saunders 2011, "LSMR: an iterative algorithm for sparse least-squares problems"):
/// MINRES on the normal equations, so that ‖Āᵀr̄‖ falls in every step. The letters are the paper's.
class Lsmr : public LeastSquaresRecurrence {
 public:
  static constexpr const char* kName = "lsmr";
  static constexpr const char* kStage = "torch_curvature::lsmr";
  static constexpr const char* kIterationStage = "torch_curvature::lsmr_iteration";
  static int64_t maxIterations(const LinearOperator& a) { return std::min(a.rows(), a.cols()); }

  Lsmr(const Bidiagonalization& process, double damp)
      : damp_(damp),
        h_(process.v().clone()),
        hBar_(at::zeros_like(h_)),
        zetaBar_(process.alpha * process.beta),
        alphaBar_(process.alpha),
        betaDD_(process.beta),
        normA2_(process.alpha * process.alpha) {}

  LeastSquaresState advance(const Bidiagonalization& process, at::Tensor& x) override {
    const Rotation hat(alphaBar_, damp_);
    const double rhoOld = rho_;
    const Rotation q(hat.r, process.beta);
    rho_ = q.r;
    const double thetaNew = q.s * process.alpha;
    alphaBar_ = q.c * process.alpha;

    const double rhoBarOld = rhoBar_;
    const double zetaOld = zeta_;
    const double thetaBar = sBar_ * rho_;
    const double rhoTemp = cBar_ * rho_;
    const Rotation bar(rhoTemp, thetaNew);
    cBar_ = bar.c, sBar_ = bar.s, rhoBar_ = bar.r;
    zeta_ = cBar_ * zetaBar_;
    zetaBar_ = -sBar_ * zetaBar_;

    hBar_.mul_(-(thetaBar * rho_ / (rhoOld * rhoBarOld))).add_(h_);
    x.add_(hBar_, zeta_ / (rho_ * rhoBar_));
    h_.mul_(-(thetaNew / rho_)).add_(process.v());

    LeastSquaresState state;
    state.residual = residual(hat, q, thetaBar, zetaOld);
    state.normalResidual = std::abs(zetaBar_);
    normA2_ += process.beta * process.beta;
    state.normA = std::sqrt(normA2_);
    normA2_ += process.alpha * process.alpha;
    if (!first_) {  // which has only a start, of no scale
      largest_ = std::max(largest_, rhoBarOld);
      smallest_ = std::min(smallest_, rhoBarOld);
    }
    first_ = false;
    state.conditionA = std::max(largest_, rhoTemp) / std::min(smallest_, rhoTemp);
    state.normX = normOf(x);
    return state;
  }

 private:
  /// ‖r̄‖ by rotations of its own (section 5 of the paper).
  double residual(const Rotation& hat, const Rotation& q, double thetaBar, double zetaOld) {
    const double betaAcute = hat.c * betaDD_;
    const double betaCheck = -hat.s * betaDD_;
    const double betaHat = q.c * betaAcute;
    betaDD_ = -q.s * betaAcute;
    const double thetaTildeOld = thetaTilde_;
    const Rotation tilde(rhoD_, thetaBar);
    thetaTilde_ = tilde.s * rhoBar_;
    rhoD_ = tilde.c * rhoBar_;
    betaD_ = -tilde.s * betaD_ + tilde.c * betaHat;
    tauTilde_ = (zetaOld - thetaTildeOld * tauTilde_) / tilde.r;
    const double tauD = (zeta_ - thetaTilde_ * tauTilde_) / rhoD_;
    d_ += betaCheck * betaCheck;
    return std::sqrt(d_ + (betaD_ - tauD) * (betaD_ - tauD) + betaDD_ * betaDD_);
  }

  double damp_;
  at::Tensor h_;
  at::Tensor hBar_;
  double zetaBar_;
  double alphaBar_;
  double rho_ = 1, rhoBar_ = 1, cBar_ = 1, sBar_ = 0, zeta_ = 0;
  // For ‖r̄‖:
  double betaDD_, betaD_ = 0, rhoD_ = 1, tauTilde_ = 0, thetaTilde_ = 0, d_ = 0;
  // For ‖Ā‖ and its condition:
  double normA2_;
  double largest_ = 0, smallest_ = std::numeric_limits<double>::max();
  bool first_ = true;
};

const Rows<SolverMethod> kRows(solverMethods(), {{Lsmr::kName, leastSquaresMethod<Lsmr>}});

}  // namespace
}  // namespace tc
