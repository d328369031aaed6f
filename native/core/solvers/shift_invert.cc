#include "core/solvers/shift_invert.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "core/operators/combine.h"
#include "core/runtime/error.h"
#include "core/solvers/minres.h"
#include "core/solvers/scale.h"
#include "core/solvers/solver_inverse.h"
#include "core/solvers/symmetry.h"

namespace tc {
namespace {

/// A itself, which it does not own, symmetric as was found; counts its products.
class Counted : public LinearOperator {
 public:
  explicit Counted(const LinearOperator& a)
      : LinearOperator(a.rows(), a.cols(), a.options()), a_(a) {}

  bool symmetric() const override { return true; }
  const char* engine() const override { return a_.engine(); }
  int64_t products() const { return products_; }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    ++products_;
    return a_.matvec(v, stop);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    products_ += vectors.size(0);
    return a_.matmat(vectors, stop);
  }
  at::Tensor makeDense(const StopToken& stop) const override {
    products_ += rows();
    return a_.toDense(stop);
  }

 private:
  const LinearOperator& a_;
  mutable std::atomic<int64_t> products_ = 0;
};

/// How much better the solutions should be than the eigenpairs; rounding may keep them from it, but
/// not from the root of the precision, unless σ is an eigenvalue.
constexpr double kInner = 0.01;

}  // namespace

EigshResult shiftInvert(const LinearOperator& a, const EigshOptions& options,
                        const StopToken& stop) {
  if (!options.sigma || !std::isfinite(*options.sigma))
    throw Error("ERR_INVALID_ARGUMENT", "sigma should be finite");
  const double sigma = *options.sigma;
  requireSymmetric(a, "eigsh", stop);
  const auto counted = std::make_shared<Counted>(a);
  const OperatorPtr shifted = tc::shifted(counted, -sigma);
  const double epsilon = a.options().dtype() == at::kDouble ? 0x1p-52 : 0x1p-23;
  const double outer = std::max(options.tolerance, std::cbrt(epsilon * epsilon));
  SolverOptions inner;
  inner.tolerance = std::max(outer * kInner, 16 * epsilon);
  EigshOptions how = options;
  how.sigma.reset();
  how.tolerance = outer;
  const OperatorPtr inverse = solverInverse(shifted, minres, inner, std::sqrt(epsilon));
  EigshResult result = eigsh(*inverse, how, stop);
  if (result.reason == "nan") return result;

  // Rayleigh & Ritz with A itself on what was found: 1/(λ − σ) knows λ less well far from σ.
  const at::Tensor q = result.eigenvectors;
  const at::Tensor images = counted->matmat(q, stop);
  const at::Tensor projected = at::matmul(q, images.t()).to(at::kCPU, at::kDouble);
  const auto [values, rotation] = at::linalg_eigh((projected + projected.t()) / 2);
  const at::Tensor turn = rotation.t().to(a.options());
  result.eigenvectors = at::matmul(turn, q);
  const at::Tensor rest =
      at::matmul(turn, images) - values.to(a.options()).unsqueeze(1) * result.eigenvectors;
  result.eigenvalues = values.to(a.options());
  result.residualNorms = at::linalg_vector_norm(rest, 2, {1});
  result.iterations = counted->products();
  return result;
}

}  // namespace tc
