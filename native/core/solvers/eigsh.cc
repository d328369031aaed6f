#include "core/solvers/eigsh.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/profiler/stage.h"
#include "core/solvers/krylov.h"
#include "core/solvers/probes.h"

namespace tc {
namespace {

/// Positions of Ritz values (ascending), the wanted ones first.
at::Tensor order(const at::Tensor& values, Which which) {
  switch (which) {
    case Which::kLargestMagnitude:
      return values.abs().argsort(/*dim=*/0, /*descending=*/true);
    case Which::kSmallestMagnitude:
      return values.abs().argsort(/*dim=*/0, /*descending=*/false);
    case Which::kLargest:
      return values.argsort(/*dim=*/0, /*descending=*/true);
    default:
      return values.argsort(/*dim=*/0, /*descending=*/false);
  }
}

class ThickRestartLanczos {
 public:
  ThickRestartLanczos(const LinearOperator& a, const EigshOptions& options, const StopToken& stop)
      : a_(a),
        options_(options),
        stop_(stop),
        n_(a.rows()),
        k_(options.k),
        m_(std::min(n_, std::max(options.basis > 0 ? options.basis : 20, 2 * k_ + 1))),
        probes_(a, options.seed),
        basis_(a, m_) {
    const bool isDouble = a.options().dtype() == at::kDouble;
    epsilon_ = isDouble ? std::numeric_limits<double>::epsilon()
                        : static_cast<double>(std::numeric_limits<float>::epsilon());
    limit_ = options.maxIterations > 0 ? options.maxIterations : std::max<int64_t>(1000, 10 * n_);
  }

  EigshResult run() {
    restartDirection(0);
    int64_t kept = 0;
    while (true) {
      const int64_t size = grow(kept);
      if (size < 0) return nan();
      // Ritz values and vectors of the projection on the current basis.
      const auto [values, vectors] =
          at::linalg_eigh(basis_.projected.narrow(0, 0, size).narrow(1, 0, size));
      const at::Tensor wanted = order(values, options_.which);
      const at::Tensor residuals = (vectors.select(0, size - 1) * basis_.next).abs();
      const int64_t k = std::min(k_, size);
      const at::Tensor first = wanted.narrow(0, 0, k);
      const int64_t converged =
          countConverged(values.index_select(0, first), residuals.index_select(0, first), values);
      if (converged == k || result_.iterations >= limit_)
        return finish(values, vectors, residuals, first, converged == k);
      // Keep the wanted vectors and, as they converge, some more: that speeds up what is left.
      const int64_t keep = std::min(k_ + std::max<int64_t>(converged, (m_ - k_) / 2), size - 1);
      restart(values, vectors, wanted.narrow(0, 0, keep), size);
      kept = keep;
    }
  }

 private:
  /// Extends the basis from `kept` vectors to its full size, or less when the limit is reached.
  /// Returns the size, −1 on NaN.
  int64_t grow(int64_t kept) {
    for (int64_t j = kept; j < m_; ++j) {
      if (!basis_.extend(a_, j, stop_)) return -1;
      ++result_.iterations;
      const bool last = j + 1 == m_ || result_.iterations >= limit_;
      // An invariant subspace: go on in a fresh direction, which the projection does not couple to.
      if (basis_.next == 0 && !last && !restartDirection(j + 1)) return j + 1;
      if (last) return j + 1;
    }
    return m_;
  }

  /// Puts a random direction at row `count`; false when the basis already spans the space.
  bool restartDirection(int64_t count) {
    for (int attempt = 0; attempt < 3 && count < n_; ++attempt) {
      if (basis_.insert(probes_.normal(), count)) return true;
    }
    return false;
  }

  /// Ritz vectors with a residual below the tolerance.
  int64_t countConverged(const at::Tensor& values, const at::Tensor& residuals,
                         const at::Tensor& all) const {
    // LAPACK's view of "as accurate as the precision allows": relative to the norm of A.
    const double floor = all.abs().max().item<double>() * epsilon_ * 10;
    const double tolerance = options_.tolerance > 0 ? options_.tolerance : epsilon_ * 10;
    const at::Tensor bound = (values.abs() * tolerance).clamp_min(floor);
    return (residuals <= bound).sum().item<int64_t>();
  }

  /// The chosen Ritz vectors become the basis, followed by the next direction.
  void restart(const at::Tensor& values, const at::Tensor& vectors, const at::Tensor& chosen,
               int64_t size) {
    const int64_t keep = chosen.numel();
    const at::Tensor s = vectors.index_select(1, chosen).t().to(a_.options());
    const at::Tensor rotated = at::matmul(s, basis_.vectors.narrow(0, 0, size));
    const at::Tensor next = basis_.vectors[size].clone();
    basis_.vectors.narrow(0, 0, keep).copy_(rotated);
    basis_.projected.zero_();
    basis_.projected.narrow(0, 0, keep)
        .narrow(1, 0, keep)
        .diagonal()
        .copy_(values.index_select(0, chosen));
    // `extend` finds the coupling of this direction to the kept vectors by itself.
    if (basis_.next == 0 || !basis_.insert(next, keep)) restartDirection(keep);
  }

  EigshResult finish(const at::Tensor& values, const at::Tensor& vectors,
                     const at::Tensor& residuals, const at::Tensor& chosen, bool converged) {
    const at::Tensor ascending = std::get<0>(chosen.sort());  // values come in ascending order
    const int64_t size = vectors.size(0);
    result_.eigenvalues = values.index_select(0, ascending).to(a_.options());
    result_.residualNorms = residuals.index_select(0, ascending).to(a_.options());
    result_.eigenvectors = at::matmul(vectors.index_select(1, ascending).t().to(a_.options()),
                                      basis_.vectors.narrow(0, 0, size));
    result_.converged = converged && chosen.numel() == k_;
    result_.reason = result_.converged ? "converged" : "maxIterations";
    if (!result_.converged) {
      result_.message = "not all of the " + std::to_string(k_) + " eigenvalues converged within " +
                        std::to_string(limit_) + " products";
    }
    return result_;
  }

  EigshResult nan() {
    const double value = std::numeric_limits<double>::quiet_NaN();
    result_.eigenvalues = at::full({k_}, value, a_.options());
    result_.residualNorms = at::full({k_}, value, a_.options());
    result_.eigenvectors = at::full({k_, n_}, value, a_.options());
    result_.reason = "nan";
    result_.message = "a product with the operator gave NaN or infinity";
    return result_;
  }

  const LinearOperator& a_;
  const EigshOptions& options_;
  const StopToken& stop_;
  int64_t n_;
  int64_t k_;
  int64_t m_;
  Probes probes_;
  KrylovBasis basis_;
  double epsilon_ = 0;
  int64_t limit_ = 0;
  EigshResult result_;
};

}  // namespace

Which findWhich(const std::string& name) {
  if (name == "LM") return Which::kLargestMagnitude;
  if (name == "SM") return Which::kSmallestMagnitude;
  if (name == "LA") return Which::kLargest;
  if (name == "SA") return Which::kSmallest;
  throw Error("ERR_INVALID_ARGUMENT",
              "which should be 'LM', 'SM', 'LA' or 'SA', got '" + name + "'");
}

EigshResult eigsh(const LinearOperator& a, const EigshOptions& options, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::eigsh");
  requireSquare(a, "eigsh");
  if (options.k < 1 || options.k > a.rows()) {
    throw Error("ERR_INVALID_ARGUMENT", "k should be within 1 and " + std::to_string(a.rows()) +
                                            ", got " + std::to_string(options.k));
  }
  return ThickRestartLanczos(a, options, stop).run();
}

}  // namespace tc
