#include <ATen/TensorOperators.h>

#include <cmath>

#include "core/solvers/least_squares.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

/// LSQR (Paige & Saunders 1982, "LSQR: an algorithm for sparse linear equations and sparse least
/// squares"): conjugate gradients on the normal equations, without forming them, so that ‖r̄‖ falls
/// in every step. The letters are the paper's.
class Lsqr : public LeastSquaresRecurrence {
 public:
  static constexpr const char* kName = "lsqr";
  static constexpr const char* kStage = "torch_curvature::lsqr";
  static constexpr const char* kIterationStage = "torch_curvature::lsqr_iteration";
  static int64_t maxIterations(const LinearOperator& a) { return 2 * a.cols(); }

  Lsqr(const Bidiagonalization& process, double damp)
      : damp_(damp),
        w_(process.v().clone()),
        alpha_(process.alpha),
        rhoBar_(process.alpha),
        phiBar_(process.beta) {}

  LeastSquaresState advance(const Bidiagonalization& process, at::Tensor& x) override {
    LeastSquaresState state;
    normA2_ += alpha_ * alpha_ + process.beta * process.beta + damp_ * damp_;
    state.normA = std::sqrt(normA2_);
    alpha_ = process.alpha;

    // One rotation takes away λ, the next β.
    const Rotation damping(rhoBar_, damp_);
    const double psi = damping.s * phiBar_;
    const Rotation q(damping.r, process.beta);
    const double theta = q.s * alpha_;
    rhoBar_ = -q.c * alpha_;
    const double phi = q.c * damping.c * phiBar_;
    phiBar_ *= q.s * damping.c;

    const double sizeOfW = normOf(w_) / q.r;
    x.add_(w_, phi / q.r);
    w_.mul_(-theta / q.r).add_(process.v());

    inverse2_ += sizeOfW * sizeOfW;
    state.conditionA = state.normA * std::sqrt(inverse2_);
    dampedResidual2_ += psi * psi;
    state.residual = std::sqrt(phiBar_ * phiBar_ + dampedResidual2_);
    state.normalResidual = alpha_ * std::abs(q.s * phi);
    state.normX = sizeOfMove(q.r, theta, phi);
    return state;
  }

 private:
  /// ‖x − x0‖, by a rotation from the right that takes θ away.
  double sizeOfMove(double rho, double theta, double phi) {
    const double gammaBar = -c2_ * rho;
    const double rhs = phi - s2_ * rho * z_;
    const double size = std::hypot(std::sqrt(move2_), rhs / gammaBar);
    const Rotation right(gammaBar, theta);
    c2_ = right.c, s2_ = right.s;
    z_ = rhs / right.r;
    move2_ += z_ * z_;
    return size;
  }

  double damp_;
  at::Tensor w_;
  double alpha_;  ///< of the step before
  double rhoBar_;
  double phiBar_;
  double dampedResidual2_ = 0;
  // For ‖Ā‖ and that of its inverse:
  double normA2_ = 0, inverse2_ = 0;
  // For ‖x − x0‖:
  double c2_ = -1, s2_ = 0, z_ = 0, move2_ = 0;
};

const Rows<SolverMethod> kRows(solverMethods(), {{Lsqr::kName, leastSquaresMethod<Lsqr>}});

}  // namespace
}  // namespace tc
