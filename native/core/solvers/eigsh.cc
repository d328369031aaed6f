#include "core/solvers/eigsh.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/isfinite.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/operators/factorizations.h"
#include "core/profiler/stage.h"
#include "core/runtime/error.h"
#include "core/runtime/precision.h"
#include "core/solvers/block_lanczos.h"
#include "core/solvers/convergence.h"
#include "core/solvers/dense_eigsh.h"
#include "core/solvers/krylov.h"
#include "core/solvers/method.h"
#include "core/solvers/probes.h"
#include "core/solvers/rayleigh_ritz.h"
#include "core/solvers/scale.h"
#include "core/solvers/shift_invert.h"
#include "core/solvers/symmetry.h"
#include "core/solvers/wanted.h"

namespace tc {
namespace {

/// Sizes that a search has, with the defaults filled in.
struct Sizes {
  int64_t n;
  int64_t k;
  int64_t basis;
  int64_t limit;

  Sizes(const LinearOperator& a, const EigshOptions& options)
      : n(a.rows()),
        k(options.k > 0 ? options.k : std::min<int64_t>(6, n)),
        basis(std::min(n, std::max(options.basis > 0 ? options.basis : 20, 2 * k + 1))),
        limit(options.maxIterations > 0 ? options.maxIterations : std::max<int64_t>(1000, 10 * n)) {
  }
};

class ThickRestartLanczos {
 public:
  ThickRestartLanczos(const LinearOperator& a, const EigshOptions& options, const Sizes& sizes,
                      const StopToken& stop)
      : a_(a),
        options_(options),
        stop_(stop),
        n_(sizes.n),
        k_(sizes.k),
        m_(sizes.basis),
        limit_(sizes.limit),
        probes_(a, options.seed),
        basis_(a, m_),
        goal_(options, k_, epsilonOf(basis_.vectors)) {}

  EigshResult run() {
    restartDirection(0);
    int64_t kept = 0;
    at::Tensor verified;  // the wanted values when a verification began; undefined outside of one
    while (true) {
      const int64_t size = grow(kept);
      if (size < 0) return notANumber(a_, k_, iterations_);
      // Ritz values and vectors of the projection on the current basis.
      const auto [values, vectors] =
          symmetricEigen(basis_.projected.narrow(0, 0, size).narrow(1, 0, size), stop_);
      const at::Tensor order = wantedFirst(values, options_.which);
      const at::Tensor residuals = (vectors.select(0, size - 1) * basis_.next).abs();
      const int64_t k = std::min(k_, size);
      const at::Tensor first = order.narrow(0, 0, k);
      const at::Tensor wanted = values.index_select(0, first);
      const bool all = goal_.isReached(wanted, residuals.index_select(0, first), values);
      const bool same = verified.defined() && goal_.isSame(wanted, verified, values);
      const bool done = all && same && goal_.rivalsAreOut(values, order, residuals);
      if (done || iterations_ >= limit_)
        return finish(values, vectors, residuals, first, done, all);
      if (isBetterDense(n_, iterations_, limit_)) {
        EigshResult result = denseEigsh(a_, options_, k_, stop_);
        result.iterations += iterations_;
        return result;
      }
      // Keep the wanted vectors and the next best: that speeds up what is left.
      const int64_t keep = std::min(k_ + (m_ - k_) / 2, size - 1);
      // One Krylov space has one vector of each eigenspace: look in a direction of its own. A copy
      // that turns up mixes with the one that is there, which is no other value.
      const bool verify = all && !same;
      if (!same) verified = verify ? wanted : at::Tensor();
      restart(values, vectors, order.narrow(0, 0, verify ? k_ : keep), size, verify);
      kept = verify ? k_ : keep;
    }
  }

 private:
  /// Extends the basis from `kept` vectors to its full size, or less when the limit is reached.
  /// Returns the size, −1 on NaN.
  int64_t grow(int64_t kept) {
    for (int64_t j = kept; j < m_; ++j) {
      if (!basis_.extend(a_, j, stop_)) return -1;
      ++iterations_;
      const bool last = j + 1 == m_ || iterations_ >= limit_;
      // An invariant subspace: go on in a fresh direction, which the projection does not couple to.
      if (basis_.next == 0 && !last && !restartDirection(j + 1)) return j + 1;
      if (last) return j + 1;
    }
    return m_;
  }

  /// Puts a random direction at row `count`; false when the basis already spans the space.
  bool restartDirection(int64_t count) {
    for (int attempt = 0; attempt < 3 && count < n_; ++attempt) {
      if (basis_.insert(probes_.normal(), count, stop_)) return true;
    }
    return false;
  }

  /// The chosen Ritz vectors become the basis, followed by the next direction, or by a random one.
  void restart(const at::Tensor& values, const at::Tensor& vectors, const at::Tensor& chosen,
               int64_t size, bool afresh) {
    const int64_t keep = chosen.numel();
    const at::Tensor s = vectors.index_select(1, chosen).t().to(a_.options());
    at::Tensor rotated = at::matmul(s, basis_.vectors.narrow(0, 0, size));
    // One step of Newton & Schulz keeps them orthonormal over any number of restarts.
    rotated = rotated * 1.5 - at::matmul(at::matmul(rotated, rotated.t()), rotated) * 0.5;
    const at::Tensor next = basis_.vectors[size].clone();
    basis_.vectors.narrow(0, 0, keep).copy_(rotated);
    basis_.projected.zero_();
    basis_.projected.narrow(0, 0, keep)
        .narrow(1, 0, keep)
        .diagonal()
        .copy_(values.index_select(0, chosen));
    // `extend` finds the coupling of this direction to the kept vectors by itself.
    if (afresh || basis_.next == 0 || !basis_.insert(next, keep, stop_)) restartDirection(keep);
  }

  EigshResult finish(const at::Tensor& values, const at::Tensor& vectors,
                     const at::Tensor& residuals, const at::Tensor& chosen, bool verified,
                     bool converged) {
    const at::Tensor ascending = std::get<0>(chosen.sort());  // values come in ascending order
    EigshResult result;
    result.eigenvalues = values.index_select(0, ascending).to(a_.options());
    result.residualNorms = residuals.index_select(0, ascending).to(a_.options());
    result.eigenvectors = at::matmul(vectors.index_select(1, ascending).t().to(a_.options()),
                                     basis_.vectors.narrow(0, 0, vectors.size(0)));
    if (verified && iterations_ + k_ <= limit_) {
      rayleighRitz(result, result.eigenvectors, a_.matmat(result.eigenvectors, stop_), stop_);
      iterations_ += k_;
    }
    result.iterations = iterations_;
    conclude(result, k_, limit_, verified, converged);
    return result;
  }

  const LinearOperator& a_;
  const EigshOptions& options_;
  const StopToken& stop_;
  int64_t n_;
  int64_t k_;
  int64_t m_;
  int64_t limit_;
  Probes probes_;
  KrylovBasis basis_;
  Convergence goal_;
  int64_t iterations_ = 0;
};

}  // namespace

void conclude(EigshResult& result, int64_t k, int64_t limit, bool verified, bool converged) {
  result.converged = verified;
  result.reason = verified ? "converged" : "maxIterations";
  if (verified) return;
  const std::string within = " within " + std::to_string(limit) + " products";
  result.message = converged
                       ? "all eigenvalues converged, but that none is missing between them could "
                         "not be verified" +
                             within
                       : "not all of the " + std::to_string(k) + " eigenvalues converged" + within;
}

EigshResult notANumber(const LinearOperator& a, int64_t k, int64_t iterations) {
  const double value = std::numeric_limits<double>::quiet_NaN();
  EigshResult result;
  result.eigenvalues = at::full({k}, value, a.options());
  result.residualNorms = at::full({k}, value, a.options());
  result.eigenvectors = at::full({k, a.rows()}, value, a.options());
  result.iterations = iterations;
  result.reason = "nan";
  result.message = "a product with the operator gave NaN or infinity";
  return result;
}

Which findWhich(const std::string& name) {
  if (name == "LM") return Which::kLargestMagnitude;
  if (name == "SM") return Which::kSmallestMagnitude;
  if (name == "LA") return Which::kLargest;
  if (name == "SA") return Which::kSmallest;
  if (name == "BE") return Which::kBothEnds;
  throw Error("ERR_INVALID_ARGUMENT",
              "which should be 'LM', 'SM', 'LA', 'SA' or 'BE', got '" + name + "'");
}

namespace {

EigshResult search(const LinearOperator& a, const EigshOptions& options, const StopToken& stop) {
  requireSquare(a, "eigsh");
  if (options.block < 1) throw Error("ERR_INVALID_ARGUMENT", "block should be at least 1");
  if (options.sigma) return shiftInvert(a, options, stop);
  const Sizes sizes(a, options);
  if (options.k < 0 || sizes.k > sizes.n) {
    throw Error("ERR_INVALID_ARGUMENT", "k should be within 1 and " + std::to_string(sizes.n) +
                                            ", got " + std::to_string(options.k));
  }
  if (options.which == Which::kSmallestMagnitude && sizes.n > kMostDenseUnknowns) {
    throw Error("ERR_UNSUPPORTED_OP",
                "which: 'SM' asks for the middle of the spectrum, which products do not find in a "
                "bounded time for more than " +
                    std::to_string(kMostDenseUnknowns) +
                    " unknowns: use 'SA' for a positive semi-definite operator (gramian, ntk, "
                    "gaussNewton, fisher), or 'LM' of the inverse, whose eigenvalues are 1/λ: "
                    "customOperator({ shape, dtype, symmetric: true, matmat: async (vectors, k) => "
                    "(await minres(op, vectors, { k })).x })");
  }
  if (sizes.n == 0) {
    EigshResult empty;
    empty.eigenvalues = empty.residualNorms = at::empty({0}, a.options());
    empty.eigenvectors = at::empty({0, 0}, a.options());
    empty.converged = true;
    empty.reason = "converged";
    return empty;
  }
  requireSymmetric(a, "eigsh", stop);
  const bool whole = sizes.basis == sizes.n || options.which == Which::kSmallestMagnitude;
  if (whole && sizes.n <= sizes.limit) return denseEigsh(a, options, sizes.k, stop);
  if (options.block > 1) {
    // Each restart should leave room for some blocks.
    const int64_t usual = 2 * sizes.k + 12 * options.block;
    const int64_t least = options.basis > 0 ? sizes.k + 3 * options.block : usual;
    const int64_t basis = std::max(sizes.basis, least);
    if (basis + options.block < sizes.n)
      return blockLanczos(a, options, sizes.k, basis, sizes.limit, stop);
    if (sizes.n <= sizes.limit) return denseEigsh(a, options, sizes.k, stop);
  }
  return ThickRestartLanczos(a, options, sizes, stop).run();
}

}  // namespace

EigshResult eigsh(const LinearOperator& a, const EigshOptions& options, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::eigsh");
  EigshResult result = search(a, options, stop);
  // Products of unit vectors can all be within the precision where eigenvalues are not.
  if (result.converged && !result.eigenvalues.isfinite().all().item<bool>()) {
    result.converged = false;
    result.reason = "nan";
    result.message = "eigenvalues are beyond the range of the precision";
  }
  return result;
}

namespace {

Record run(const LinearOperator& a, const Arguments& given, const StopToken& stop) {
  EigshOptions options;
  options.k = given.integer("k", options.k);
  options.which = findWhich(given.text("which", "LM"));
  options.tolerance = given.number("tolerance", options.tolerance);
  options.maxIterations = given.integer("maxIterations", options.maxIterations);
  options.basis = given.integer("basis", options.basis);
  options.seed = given.seed("seed");
  options.block = given.integer("block", options.block);
  options.sigma = given.number("sigma");
  const EigshResult result = eigsh(a, options, stop);
  return {{{"eigenvalues", result.eigenvalues},
           {"eigenvectors", result.eigenvectors},
           {"residualNorms", result.residualNorms},
           {"iterations", result.iterations},
           {"converged", result.converged},
           {"reason", result.reason},
           {"message", result.message}}};
}

const Rows<SolverMethod> kRows(solverMethods(), {{"eigsh", run}});

}  // namespace

}  // namespace tc
