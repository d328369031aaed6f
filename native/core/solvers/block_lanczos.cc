#include "core/solvers/block_lanczos.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/operators/factorizations.h"
#include "core/profiler/stage.h"
#include "core/runtime/bytes.h"
#include "core/runtime/device.h"
#include "core/runtime/precision.h"
#include "core/solvers/convergence.h"
#include "core/solvers/dense_eigsh.h"
#include "core/solvers/probes.h"
#include "core/solvers/rayleigh_ritz.h"
#include "core/solvers/scale.h"
#include "core/solvers/wanted.h"

namespace tc {
namespace {

/// What remains of a vector counts as rounding up to this many units of its precision.
constexpr double kNothingLeft = 64;

class BlockLanczos {
 public:
  BlockLanczos(const LinearOperator& a, const EigshOptions& options, int64_t k, int64_t basis,
               int64_t limit, const StopToken& stop)
      : a_(a),
        options_(options),
        stop_(stop),
        k_(k),
        block_(options.block),
        limit_(limit),
        epsilon_(epsilonOf(a.options())),
        probes_(a, options.seed),
        goal_(options, k, epsilon_) {
    requireMemory(a.options().device(), bytesOf(2 * basis, a.rows(), a.options()),
                  "the Lanczos basis");
    vectors_ = at::empty({basis, a.rows()}, a.options());
    images_ = at::empty({basis, a.rows()}, a.options());
    projected_ = at::zeros({basis, basis}, at::kDouble);
  }

  EigshResult run() {
    at::Tensor next = fresh();
    at::Tensor verified;  // the wanted values when a verification began
    while (true) {
      if (!append(next)) return notANumber(a_, k_, products_);
      const auto [values, rotation] = symmetricEigen(square(projected_, size_), stop_);
      const at::Tensor order = wantedFirst(values, options_.which);
      const at::Tensor chosen = order.narrow(0, 0, std::min(k_, size_));
      // A q − Q Qᵀ(A q) of the block: where the space goes on, and what the residuals lie in.
      next = rest();
      const at::Tensor residuals = residualsOf(rotation, next);
      const at::Tensor wanted = values.index_select(0, chosen);
      const bool all = goal_.isReached(wanted, residuals.index_select(0, chosen), values);
      const bool full = next.size(0) == 0;
      const bool same = verified.defined() && goal_.isSame(wanted, verified, values);
      const bool done = all && (full || (same && goal_.rivalsAreOut(values, order, residuals)));
      if (done || full || products_ + block_ > limit_)
        return finish(values, rotation, residuals, chosen, done, all);
      if (isBetterDense(a_.rows(), products_, limit_)) {
        EigshResult result = denseEigsh(a_, options_, k_, stop_);
        result.iterations += products_;
        return result;
      }
      if (all && !same) {
        verified = wanted;
        restart(values, rotation, chosen);
        next = orthogonal(fresh());
      } else if (size_ + block_ > capacity()) {
        if (!same) verified = at::Tensor();
        restart(values, rotation, order.narrow(0, 0, kept()));
        next = orthogonal(next);
      }
    }
  }

 private:
  int64_t capacity() const { return vectors_.size(0); }
  /// Vectors that a restart keeps: the wanted ones and the next best.
  int64_t kept() const { return std::min(k_ + (capacity() - k_) / 2, capacity() - block_); }
  static at::Tensor square(const at::Tensor& matrix, int64_t size) {
    return matrix.narrow(0, 0, size).narrow(1, 0, size);
  }
  at::Tensor basis() const { return vectors_.narrow(0, 0, size_); }
  at::Tensor images() const { return images_.narrow(0, 0, size_); }

  /// A random block, orthonormal to the basis.
  at::Tensor fresh() {
    std::vector<at::Tensor> draws;
    for (int64_t i = 0; i < std::min(block_, a_.rows() - size_); ++i)
      draws.push_back(probes_.normal());
    if (draws.empty()) return at::empty({0, a_.rows()}, a_.options());
    return orthogonal(at::stack(draws));
  }

  /// An orthonormal basis of what the rows have beyond the basis, with random vectors in the place
  /// of those that have nothing; fewer rows where the space is full.
  at::Tensor orthogonal(const at::Tensor& rows) {
    const int64_t most = std::min(rows.size(0), a_.rows() - size_);
    if (most <= 0) return at::empty({0, a_.rows()}, a_.options());
    at::Tensor w = rows.narrow(0, 0, most);
    for (int pass = 0; pass < 3; ++pass) {
      if (size_ > 0) w = w - at::matmul(at::matmul(w, basis().t()), basis());
      const auto [q, r] = reducedQr(w.t(), stop_);
      w = q.t().contiguous();
      // A row without anything of its own is turned into noise by the factorization: a random one,
      // orthogonalized in the next pass, has a meaning.
      const at::Tensor pivots = r.diagonal().abs().to(at::kCPU, at::kDouble);
      const double least = pivots.max().item<double>() * epsilon_ * kNothingLeft;
      for (int64_t i = 0; i < most && pass == 0; ++i) {
        if (!(pivots[i].item<double>() > least)) w[i].copy_(unit(probes_.normal()));
      }
    }
    return w;
  }
  static at::Tensor unit(const at::Tensor& x) { return x / normOf(x); }

  /// Multiplies the block and adds it to the basis. False on NaN or infinity.
  bool append(const at::Tensor& block) {
    const profiling::Stage stage("torch_curvature::lanczos_step");
    const int64_t count = block.size(0);
    at::Tensor products = a_.matmat(block, stop_);
    products_ += count;
    if (!std::isfinite(largestOf(products.flatten()))) return false;
    if (products_ == count) exponent_ = exponentOf(products.flatten());
    products = scaledBy(products, -exponent_);
    vectors_.narrow(0, size_, count).copy_(block);
    images_.narrow(0, size_, count).copy_(products);
    size_ += count;
    last_ = count;
    const at::Tensor column = at::matmul(basis(), products.t()).to(at::kCPU, at::kDouble);
    projected_.narrow(0, 0, size_).narrow(1, size_ - count, count).copy_(column);
    projected_.narrow(1, 0, size_).narrow(0, size_ - count, count).copy_(column.t());
    const at::Tensor corner =
        square(projected_, size_).slice(0, size_ - count).slice(1, size_ - count);
    corner.copy_((corner + corner.t()) / 2);
    return true;
  }

  /// Where the last block's images lead beyond the basis.
  at::Tensor rest() { return orthogonal(images_.narrow(0, size_ - last_, last_)); }

  /// ‖A q − λ q‖ of all Ritz pairs: they lie in the directions where the space goes on, which has
  /// no rounding of the images in it.
  at::Tensor residualsOf(const at::Tensor& rotation, const at::Tensor& next) const {
    const at::Tensor last = images_.narrow(0, size_ - last_, last_);
    const at::Tensor coupling = at::matmul(next, last.t()).to(at::kCPU, at::kDouble);
    const at::Tensor parts = at::matmul(coupling, rotation.narrow(0, size_ - last_, last_));
    return at::linalg_vector_norm(parts, 2, {0});
  }

  /// The chosen Ritz vectors become the basis.
  void restart(const at::Tensor& values, const at::Tensor& rotation, const at::Tensor& chosen) {
    const int64_t keep = chosen.numel();
    const at::Tensor turn = rotation.index_select(1, chosen).t().to(a_.options());
    const at::Tensor turned = at::matmul(turn, basis());
    const at::Tensor turnedImages = at::matmul(turn, images());
    // One step of Newton & Schulz keeps them orthonormal over any number of restarts.
    const at::Tensor excess = at::matmul(turned, turned.t());
    vectors_.narrow(0, 0, keep).copy_(turned * 1.5 - at::matmul(excess, turned) * 0.5);
    images_.narrow(0, 0, keep).copy_(turnedImages * 1.5 - at::matmul(excess, turnedImages) * 0.5);
    size_ = keep;
    last_ = 0;
    projected_.zero_();
    square(projected_, keep).diagonal().copy_(values.index_select(0, chosen));
  }

  EigshResult finish(const at::Tensor& values, const at::Tensor& rotation,
                     const at::Tensor& residuals, const at::Tensor& chosen, bool verified,
                     bool converged) {
    const at::Tensor ascending = std::get<0>(chosen.sort());  // values come in ascending order
    EigshResult result;
    const at::Tensor turn = rotation.index_select(1, ascending).t().to(a_.options());
    result.eigenvalues = scaledBy(values.index_select(0, ascending), exponent_).to(a_.options());
    result.eigenvectors = at::matmul(turn, basis());
    result.residualNorms =
        scaledBy(residuals.index_select(0, ascending), exponent_).to(a_.options());
    if (verified && products_ + k_ <= limit_) {
      rayleighRitz(result, result.eigenvectors, a_.matmat(result.eigenvectors, stop_), stop_);
      products_ += k_;
    }
    result.iterations = products_;
    conclude(result, k_, limit_, verified, converged);
    return result;
  }

  const LinearOperator& a_;
  const EigshOptions& options_;
  const StopToken& stop_;
  int64_t k_;
  int64_t block_;
  int64_t limit_;
  double epsilon_;
  Probes probes_;
  Convergence goal_;
  at::Tensor vectors_;    ///< [basis, n]: orthonormal rows q
  at::Tensor images_;     ///< [basis, n]: A q, as all below, by 2^−exponent_
  at::Tensor projected_;  ///< q A qᵀ, float64 on the CPU
  int exponent_ = 0;
  int64_t size_ = 0;
  int64_t last_ = 0;  ///< of the block that was appended last
  int64_t products_ = 0;
};

}  // namespace

EigshResult blockLanczos(const LinearOperator& a, const EigshOptions& options, int64_t k,
                         int64_t basis, int64_t limit, const StopToken& stop) {
  return BlockLanczos(a, options, k, basis, limit, stop).run();
}

}  // namespace tc
