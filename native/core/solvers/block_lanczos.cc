#include "core/solvers/block_lanczos.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linalg_eigh.h>
#include <ATen/ops/linalg_qr.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "core/profiler/stage.h"
#include "core/runtime/device.h"
#include "core/solvers/probes.h"
#include "core/solvers/scale.h"
#include "core/solvers/wanted.h"

namespace tc {
namespace {

/// What remains of a vector counts as rounding up to this many units of its precision.
constexpr double kNothingLeft = 64;
/// Residuals are converged up to this many units of the precision of A.
constexpr double kFloor = 16;

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
        probes_(a, options.seed) {
    const auto itemSize = static_cast<int64_t>(a.options().dtype().itemsize());
    int64_t bytes = 0;
    const bool overflow = __builtin_mul_overflow(2 * basis * itemSize, a.rows(), &bytes);
    requireMemory(a.options().device(), overflow ? -1 : bytes, "the Lanczos basis");
    vectors_ = at::empty({basis, a.rows()}, a.options());
    images_ = at::empty({basis, a.rows()}, a.options());
    projected_ = at::zeros({basis, basis}, at::kDouble);
    epsilon_ = epsilonOf(vectors_);
  }

  EigshResult run() {
    at::Tensor next = fresh();
    at::Tensor verified;  // the wanted values when a verification began
    while (true) {
      if (!append(next)) return notANumber(a_, k_, products_);
      const auto [values, rotation] = at::linalg_eigh(square(projected_, size_));
      const at::Tensor order = wantedFirst(values, options_.which);
      const at::Tensor chosen = order.narrow(0, 0, std::min(k_, size_));
      // A q − Q Qᵀ(A q) of the block: where the space goes on, and what the residuals lie in.
      next = rest();
      const bool all = size_ >= k_ && residualsOf(values, rotation, chosen)
                                          .le(boundOf(values.index_select(0, chosen), values))
                                          .all()
                                          .item<bool>();
      const at::Tensor wanted = values.index_select(0, chosen);
      if (!all && verified.defined() && size_ + block_ > capacity()) verified = at::Tensor();
      const bool same = all && verified.defined() && isSame(wanted, verified, values);
      if (same || products_ + block_ > limit_ || next.size(0) == 0)
        return finish(values, rotation, chosen, same || (all && next.size(0) == 0), all);
      if (all) {
        verified = wanted;
        restart(values, rotation, chosen);
        next = orthogonal(fresh());
      } else if (size_ + block_ > capacity()) {
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
      stop_.poll();
      if (size_ > 0) w = w - at::matmul(at::matmul(w, basis().t()), basis());
      const auto [q, r] = at::linalg_qr(w.t());
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
    const at::Tensor products = a_.matmat(block, stop_);
    products_ += count;
    if (!std::isfinite(largestOf(products.flatten()))) return false;
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

  /// ‖A q − λ q‖ of some Ritz pairs.
  at::Tensor residualsOf(const at::Tensor& values, const at::Tensor& rotation,
                         const at::Tensor& chosen) const {
    const at::Tensor turn = rotation.index_select(1, chosen).t().to(a_.options());
    const at::Tensor lambda = values.index_select(0, chosen).to(a_.options()).unsqueeze(1);
    const at::Tensor rest = at::matmul(turn, images()) - lambda * at::matmul(turn, basis());
    return at::linalg_vector_norm(rest.to(at::kDouble), 2, {1}).cpu();
  }

  at::Tensor boundOf(const at::Tensor& values, const at::Tensor& all) const {
    const double tolerance = options_.tolerance > 0 ? options_.tolerance : epsilon_ * kFloor;
    return (values.abs() * tolerance).clamp_min(all.abs().max().item<double>() * epsilon_ * kFloor);
  }

  bool isSame(const at::Tensor& wanted, const at::Tensor& before, const at::Tensor& all) const {
    const double rounding = all.abs().max().item<double>() * epsilon_ * 1000;
    const at::Tensor bound = boundOf(before, all).clamp_min(rounding);
    return ((wanted - before).abs() <= bound).all().item<bool>();
  }

  /// The chosen Ritz vectors become the basis.
  void restart(const at::Tensor& values, const at::Tensor& rotation, const at::Tensor& chosen) {
    const int64_t keep = chosen.numel();
    const at::Tensor turn = rotation.index_select(1, chosen).t().to(a_.options());
    const at::Tensor turned = at::matmul(turn, basis());
    const at::Tensor turnedImages = at::matmul(turn, images());
    vectors_.narrow(0, 0, keep).copy_(turned);
    images_.narrow(0, 0, keep).copy_(turnedImages);
    size_ = keep;
    last_ = 0;
    projected_.zero_();
    square(projected_, keep).diagonal().copy_(values.index_select(0, chosen));
  }

  EigshResult finish(const at::Tensor& values, const at::Tensor& rotation, const at::Tensor& chosen,
                     bool verified, bool converged) const {
    const at::Tensor ascending = std::get<0>(chosen.sort());  // values come in ascending order
    EigshResult result;
    const at::Tensor turn = rotation.index_select(1, ascending).t().to(a_.options());
    result.eigenvalues = values.index_select(0, ascending).to(a_.options());
    result.eigenvectors = at::matmul(turn, basis());
    result.residualNorms = residualsOf(values, rotation, ascending).to(a_.options());
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
  Probes probes_;
  at::Tensor vectors_;    ///< [basis, n]: orthonormal rows q
  at::Tensor images_;     ///< [basis, n]: A q
  at::Tensor projected_;  ///< q A qᵀ, float64 on the CPU
  double epsilon_ = 0;
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
