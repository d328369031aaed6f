#include "core/solvers/eigsh.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/full.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/matmul.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/profiler/stage.h"
#include "core/runtime/error.h"
#include "core/solvers/block_lanczos.h"
#include "core/solvers/krylov.h"
#include "core/solvers/method.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"
#include "core/solvers/shift_invert.h"
#include "core/solvers/symmetry.h"
#include "core/solvers/wanted.h"

namespace tc {
namespace {

/// A rival is out of the way when what is unknown about it is this small beside its distance.
constexpr double kResolved = 0.05;
/// Values that differ by this many units of A's rounding are the same.
constexpr double kSame = 1000;
/// Products that Lanczos has at least before the matrix is formed.
constexpr int64_t kPatience = 200;

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

/// Puts the eigenpairs of the span of `vectors` (rows, orthonormal) and their residuals into the
/// result, by the products A q: Rayleigh & Ritz.
void refine(EigshResult& result, const at::Tensor& vectors, const at::Tensor& products) {
  const int exponent = exponentOf(products);
  const at::Tensor images = scaledBy(products, -exponent);
  const at::Tensor projected = at::matmul(vectors, images.t()).to(at::kCPU, at::kDouble);
  const auto [values, rotation] = at::linalg_eigh((projected + projected.t()) / 2);
  const at::Tensor turn = rotation.t().to(vectors.options());
  result.eigenvectors = at::matmul(turn, vectors);
  const at::Tensor lambda = values.to(vectors.options());
  const at::Tensor rest = at::matmul(turn, images) - lambda.unsqueeze(1) * result.eigenvectors;
  at::Tensor norms = at::empty_like(values);
  for (int64_t i = 0; i < values.numel(); ++i) norms[i] = normOf(rest[i]);
  result.eigenvalues = scaledBy(lambda, exponent);
  result.residualNorms = scaledBy(norms.to(vectors.options()), exponent);
}

/// All of the matrix, for few unknowns.
EigshResult solveDense(const LinearOperator& a, const EigshOptions& options, const Sizes& sizes,
                       const StopToken& stop) {
  const at::Tensor matrix = a.toDense(stop);
  const double largest = largestOf(matrix.flatten());
  if (!std::isfinite(largest)) return notANumber(a, sizes.k, sizes.n);
  const int exponent = exponentOf(matrix.flatten());
  const at::Tensor wide = scaledBy(matrix, -exponent).to(at::kCPU, at::kDouble);
  const auto [values, vectors] = at::linalg_eigh((wide + wide.t()) / 2);
  const at::Tensor chosen =
      std::get<0>(wantedFirst(values, options.which).narrow(0, 0, sizes.k).sort());
  EigshResult result;
  const at::Tensor rows = vectors.index_select(1, chosen).t().contiguous();
  const at::Tensor lambda = values.index_select(0, chosen);
  const at::Tensor rest = at::matmul(rows, wide) - lambda.unsqueeze(1) * rows;
  at::Tensor norms = at::empty_like(lambda);
  for (int64_t i = 0; i < sizes.k; ++i) norms[i] = normOf(rest[i]);
  result.eigenvalues = scaledBy(lambda, exponent).to(a.options());
  result.residualNorms = scaledBy(norms, exponent).to(a.options());
  result.eigenvectors = rows.to(a.options());
  result.iterations = sizes.n;
  result.converged = true;
  result.reason = "converged";
  return result;
}

class ThickRestartLanczos {
 public:
  ThickRestartLanczos(const LinearOperator& a, const EigshOptions& options, const Sizes& sizes,
                      const StopToken& stop)
      : a_(a),
        options_(options),
        sizes_(sizes),
        stop_(stop),
        n_(sizes.n),
        k_(sizes.k),
        m_(sizes.basis),
        limit_(sizes.limit),
        probes_(a, options.seed),
        basis_(a, m_) {
    epsilon_ = epsilonOf(basis_.vectors);
  }

  EigshResult run() {
    restartDirection(0);
    int64_t kept = 0;
    at::Tensor verified;  // the wanted values when a verification began; undefined outside of one
    while (true) {
      const int64_t size = grow(kept);
      if (size < 0) return notANumber(a_, k_, iterations_);
      // Ritz values and vectors of the projection on the current basis.
      const auto [values, vectors] =
          at::linalg_eigh(basis_.projected.narrow(0, 0, size).narrow(1, 0, size));
      const at::Tensor order = wantedFirst(values, options_.which);
      const at::Tensor residuals = (vectors.select(0, size - 1) * basis_.next).abs();
      const int64_t k = std::min(k_, size);
      const at::Tensor first = order.narrow(0, 0, k);
      const at::Tensor wanted = values.index_select(0, first);
      const int64_t converged = countConverged(wanted, residuals.index_select(0, first), values);
      const bool all = converged == k_;
      // Ritz values in the middle may be anything: nothing verifies them.
      const bool same = verified.defined() && isSame(wanted, verified, values);
      const bool settled = all && same && options_.which != Which::kSmallestMagnitude;
      const bool done = settled && rivalsAreOut(values, order, residuals);
      if (done || iterations_ >= limit_)
        return finish(values, vectors, residuals, first, done, all);
      if (isBetterDense()) {
        EigshResult result = solveDense(a_, options_, sizes_, stop_);
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

  /// Whether the matrix takes fewer products than Lanczos has had.
  bool isBetterDense() const {
    return n_ <= kMostDenseUnknowns && iterations_ >= std::max(n_, kPatience) &&
           iterations_ + n_ <= limit_;
  }

  /// Puts a random direction at row `count`; false when the basis already spans the space.
  bool restartDirection(int64_t count) {
    for (int attempt = 0; attempt < 3 && count < n_; ++attempt) {
      if (basis_.insert(probes_.normal(), count, stop_)) return true;
    }
    return false;
  }

  double sameWithin(const at::Tensor& all) const {
    return all.abs().max().item<double>() * epsilon_ * kSame;
  }

  /// What rounding leaves of a residual: LAPACK's view, relative to the norm of A.
  double floorOf(const at::Tensor& all) const {
    return all.abs().max().item<double>() * epsilon_ * 10;
  }

  at::Tensor boundOf(const at::Tensor& values, const at::Tensor& all) const {
    const double tolerance = options_.tolerance > 0 ? options_.tolerance : epsilon_ * 10;
    return (values.abs() * tolerance).clamp_min(floorOf(all));
  }

  /// Ritz vectors with a residual below the tolerance.
  int64_t countConverged(const at::Tensor& values, const at::Tensor& residuals,
                         const at::Tensor& all) const {
    return (residuals <= boundOf(values, all)).sum().item<int64_t>();
  }

  /// Whether the verification changed none of the wanted values.
  bool isSame(const at::Tensor& wanted, const at::Tensor& before, const at::Tensor& all) const {
    const at::Tensor bound = boundOf(before, all).clamp_min(sameWithin(all));
    return ((wanted - before).abs() <= bound).all().item<bool>();
  }

  /// Whether the best of what is not wanted is known well enough to be left out.
  bool rivalsAreOut(const at::Tensor& values, const at::Tensor& order,
                    const at::Tensor& residuals) const {
    for (const Rival& rival : rivalsOf(values, order, k_, options_.which)) {
      const double unknown = residuals[rival.position].item<double>();
      const at::Tensor value = values.narrow(0, rival.position, 1);
      const double bound = std::max(boundOf(value, values).item<double>(), sameWithin(values));
      if (unknown > std::max(bound, kResolved * rival.distance)) return false;
    }
    return true;
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
      refine(result, result.eigenvectors, a_.matmat(result.eigenvectors, stop_));
      iterations_ += k_;
    }
    result.iterations = iterations_;
    conclude(result, k_, limit_, verified, converged);
    return result;
  }

  const LinearOperator& a_;
  const EigshOptions& options_;
  const Sizes& sizes_;
  const StopToken& stop_;
  int64_t n_;
  int64_t k_;
  int64_t m_;
  int64_t limit_;
  Probes probes_;
  KrylovBasis basis_;
  double epsilon_ = 0;
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

EigshResult eigsh(const LinearOperator& a, const EigshOptions& options, const StopToken& stop) {
  const profiling::Stage stage("torch_curvature::eigsh");
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
  if (whole && sizes.n <= sizes.limit) return solveDense(a, options, sizes, stop);
  if (options.block > 1) {
    // Each restart should leave room for some blocks.
    const int64_t usual = 2 * sizes.k + 6 * options.block;
    const int64_t least = options.basis > 0 ? sizes.k + 3 * options.block : usual;
    const int64_t basis = std::max(sizes.basis, least);
    if (basis + options.block < sizes.n)
      return blockLanczos(a, options, sizes.k, basis, sizes.limit, stop);
    if (sizes.n <= sizes.limit) return solveDense(a, options, sizes, stop);
  }
  return ThickRestartLanczos(a, options, sizes, stop).run();
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
