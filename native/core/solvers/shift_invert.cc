#include "core/solvers/shift_invert.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "core/operators/combine.h"
#include "core/operators/factorizations.h"
#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/dense_eigsh.h"
#include "core/solvers/minres.h"
#include "core/solvers/rayleigh_ritz.h"
#include "core/solvers/scale.h"
#include "core/solvers/solver_inverse.h"
#include "core/solvers/symmetry.h"

namespace tc {
namespace {

/// A itself, which it does not own, symmetric as was found; counts its products and sees its size.
class Counted : public LinearOperator {
 public:
  explicit Counted(const LinearOperator& a)
      : LinearOperator(a.rows(), a.cols(), a.options()), a_(a) {}

  bool symmetric() const override { return true; }
  const char* engine() const override { return a_.engine(); }
  int64_t products() const { return products_; }
  /// The largest ‖A v‖ / ‖v‖ there was: ‖A‖ from below.
  double size() const { return size_; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    ++products_;
    return seen(v, a_.matvec(v, stop));
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    products_ += vectors.size(0);
    return seen(vectors, a_.matmat(vectors, stop));
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    products_ += rows();
    return a_.toDense(stop);
  }

 private:
  at::Tensor seen(const at::Tensor& vectors, at::Tensor products) const {
    const double ratio = normOf(products.flatten()) / normOf(vectors.flatten());
    double before = size_;
    while (ratio > before && !size_.compare_exchange_weak(before, ratio)) {
    }
    return products;
  }

  const LinearOperator& a_;
  mutable std::atomic<int64_t> products_ = 0;
  mutable std::atomic<double> size_ = 0;
};

/// How much better the solutions should be than the eigenpairs; rounding may keep them from it, but
/// not from the root of the precision, unless σ is an eigenvalue.
constexpr double kInner = 0.01;
/// Residuals are converged up to this many units of the precision of A.
constexpr double kFloor = 100;
/// Steps of the inverse iteration that may bring the residuals with A below the tolerance.
constexpr int kMostSteps = 3;

/// The largest of the residuals, each relative to what it may be.
double excessOf(const EigshResult& found, double tolerance, double floor) {
  const double least = std::max(floor, std::numeric_limits<double>::min());
  const at::Tensor bound = (found.eigenvalues.abs().to(at::kDouble) * tolerance).clamp_min(least);
  return (found.residualNorms.to(at::kDouble) / bound).max().item<double>();
}

}  // namespace

EigshResult shiftInvert(const LinearOperator& a, const EigshOptions& options,
                        const StopToken& stop) {
  if (!options.sigma || !std::isfinite(*options.sigma))
    throw Error("ERR_INVALID_ARGUMENT", "sigma should be finite");
  const double sigma = *options.sigma;
  requireSymmetric(a, "eigsh", stop);
  const auto counted = std::make_shared<Counted>(a);
  const OperatorPtr shifted = tc::shifted(counted, -sigma);
  const double epsilon = epsilonOf(a.options());
  const double outer = std::max(options.tolerance, std::cbrt(epsilon * epsilon));
  SolverOptions inner;
  inner.tolerance = std::max(outer * kInner, 16 * epsilon);
  EigshOptions how = options;
  how.sigma.reset();
  how.tolerance = outer;
  const OperatorPtr inverse = solverInverse(shifted, minres, inner, std::sqrt(epsilon));
  EigshResult result = eigsh(*inverse, how, stop);
  if (result.reason == "nan" || a.rows() == 0) return result;

  // Rayleigh & Ritz with A itself on what was found: 1/(λ − σ) knows λ less well far from σ. Where
  // that is too little, inverse iteration is tried, as long as it helps.
  EigshResult best = result;
  double excess = std::numeric_limits<double>::infinity();
  at::Tensor q = result.eigenvectors;
  const int most = result.converged ? kMostSteps : 0;
  for (int step = 0; step <= most && excess > 1; ++step) {
    if (step > 0) q = reducedQr(inverse->matmat(q, stop).t(), stop).first.t().contiguous();
    rayleighRitz(result, q, counted->matmat(q, stop), stop);
    q = result.eigenvectors;
    const double now = excessOf(result, outer, counted->size() * kFloor * epsilon);
    if (step > 0 && !(now < excess)) break;
    best = result;
    excess = now;
  }
  result = best;
  if (result.converged && !(excess <= 1)) {
    if (a.rows() <= kMostDenseUnknowns) {
      result = denseEigsh(*counted, options, result.eigenvalues.numel(), stop);
    } else {
      result.converged = false;
      result.reason = "stagnation";
      result.message =
          "rounding keeps the residuals above the tolerance: raise it or, where sigma is far from "
          "the eigenvalues, leave it out: which: 'LA' or 'SA' finds those at an end";
    }
  }
  result.iterations = counted->products();
  return result;
}

}  // namespace tc
