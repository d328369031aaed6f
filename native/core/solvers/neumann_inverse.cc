#include <ATen/TensorOperators.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <optional>
#include <utility>

#include "core/operators/factorizations.h"
#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/inverse.h"
#include "core/solvers/krylov.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"

namespace tc {
namespace {

/// Products that the largest eigenvalue is bounded with.
constexpr int64_t kBoundSteps = 20;
constexpr int64_t kTerms = 100;

/// A number that no eigenvalue of a symmetric positive semi-definite A is above, or only just: the
/// largest Ritz value of some Lanczos steps and its residual (Zhou & Li 2011, "Bounding the
/// spectrum of large Hermitian matrices").
double boundOf(const LinearOperator& a, const StopToken& stop) {
  const int64_t most = std::min(kBoundSteps, a.rows());
  KrylovBasis basis(a, most);
  Probes probes(a, /*seed=*/0);
  basis.insert(probes.normal(), 0, stop);
  int64_t size = 0;
  do {
    if (!basis.extend(a, size++, stop)) return std::nan("");
  } while (size < most && basis.next > 0);
  const auto [values, vectors] =
      symmetricEigen(basis.projected.narrow(0, 0, size).narrow(1, 0, size), stop);
  return values[-1].item<double>() + std::abs(vectors[-1][-1].item<double>()) * basis.next;
}

/// c Σᵢ (I − c A)ⁱ for i < terms, which is A⁻¹ (I − (I − c A)ᵗᵉʳᵐˢ).
class NeumannInverse : public LinearOperator {
 public:
  NeumannInverse(OperatorPtr a, int64_t terms, std::optional<double> scale)
      : LinearOperator(a->rows(), a->cols(), a->options()),
        a_(std::move(a)),
        terms_(terms),
        scale_(scale) {}

  bool symmetric() const override { return a_->symmetric(); }
  const char* engine() const override { return a_->engine(); }

 protected:
  at::Tensor apply(const at::Tensor& v, const StopToken& stop) const override {
    return sum(v.unsqueeze(0), false, stop).squeeze(0);
  }
  at::Tensor applyTransposed(const at::Tensor& u, const StopToken& stop) const override {
    return sum(u.unsqueeze(0), true, stop).squeeze(0);
  }
  at::Tensor applyMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return sum(vectors, false, stop);
  }
  at::Tensor applyTransposedMany(const at::Tensor& vectors, const StopToken& stop) const override {
    return sum(vectors, true, stop);
  }

 private:
  at::Tensor sum(const at::Tensor& vectors, bool transposed, const StopToken& stop) const {
    const double c = scale(stop);
    at::Tensor term = vectors.clone();
    at::Tensor total = at::zeros_like(vectors);
    for (int64_t i = 0; i < terms_; ++i) {
      total.add_(term);
      if (i + 1 == terms_) break;
      term.sub_(transposed ? a_->rmatmat(term, stop) : a_->matmat(term, stop), c);
    }
    const at::Tensor last = at::linalg_vector_norm(term, 2, {1});
    const at::Tensor first = at::linalg_vector_norm(vectors, 2, {1});
    // NaN is not below either.
    const bool falls = (last <= first * (1 + std::sqrt(epsilonOf(term)))).all().item<bool>();
    if (!falls && std::isfinite(largestOf(vectors.flatten()))) {
      const at::Tensor product =
          transposed ? a_->rmatmat(vectors, stop) : a_->matmat(vectors, stop);
      if (!std::isfinite(largestOf(product.flatten()))) {
        throw Error("ERR_NO_CONVERGENCE", "a product with the operator gave NaN or infinity");
      }
      throw Error("ERR_NO_CONVERGENCE",
                  "the Neumann series grows: its scale, " + std::to_string(c) +
                      ", should be below 2/λ of the largest eigenvalue λ, and none should be "
                      "negative");
    }
    return total.mul_(c);
  }

  /// 1/λ of a bound λ, found once.
  double scale(const StopToken& stop) const {
    const auto lock = lockOf(mutex_, stop);
    if (!scale_) {
      const double bound = rows() == 0 ? 1 : boundOf(*a_, stop);
      scale_ = bound > 0 ? 1 / bound : 1;
    }
    return *scale_;
  }

  OperatorPtr a_;
  int64_t terms_;
  mutable std::mutex mutex_;
  mutable std::optional<double> scale_;
};

OperatorPtr make(OperatorPtr a, const Arguments& given) {
  requireSquare(*a, "an inverse");
  const int64_t terms = given.integer("terms", kTerms);
  if (terms < 1) throw Error("ERR_INVALID_ARGUMENT", "terms should be at least 1");
  return std::make_shared<NeumannInverse>(std::move(a), terms, given.number("scale"));
}

const Rows<InverseMethod> kRows(inverseMethods(), {{"neumannInverse", make}});

}  // namespace
}  // namespace tc
