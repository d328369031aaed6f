#pragma once

#include <ATen/core/Tensor.h>

namespace tc {

/// Weights w of the rows (samples), and whether the weighted mean over the rows is subtracted: what
/// turns J into A = √W (I − 1 wᵀ/Σw) J, so that AᵀA is the weighted, centered Gramian. With
/// w = 1/N that is the quantum geometric tensor of stochastic reconfiguration (real part), and AAᵀ
/// its counterpart over the samples (minSR, Chen & Heyl 2024).
class RowWeights {
 public:
  RowWeights() = default;
  /// `weights` is [N], or undefined for weights of one. Throws Error ERR_SHAPE_MISMATCH,
  /// ERR_DTYPE_MISMATCH, ERR_INVALID_ARGUMENT (a negative weight).
  RowWeights(const at::Tensor& weights, bool center, int64_t batch,
             const at::TensorOptions& options);

  bool weighted() const { return weights_.defined(); }
  bool centered() const { return center_; }
  /// Σw; the number of rows where there are no weights.
  double total() const { return total_; }

  /// w ⊙ u for rows [begin, end), u being [end − begin, …]; u itself where there are no weights.
  at::Tensor times(const at::Tensor& u, int64_t begin, int64_t end) const;
  /// √w ⊙ u for all rows.
  at::Tensor timesRoot(const at::Tensor& u) const;
  /// u minus its weighted mean over all rows, (I − 1 wᵀ/Σw) u; u itself unless centered.
  at::Tensor subtractMean(const at::Tensor& u) const;
  /// The transpose, (I − w 1ᵀ/Σw) u.
  at::Tensor subtractMeanTransposed(const at::Tensor& u) const;

 private:
  /// 1/Σw. Where nothing has weight there is no mean to subtract.
  double share() const { return total_ > 0 ? 1 / total_ : 0; }
  /// w of rows [begin, end) in the shape that broadcasts over u.
  at::Tensor broadcast(const at::Tensor& w, const at::Tensor& u, int64_t begin, int64_t end) const;

  at::Tensor weights_;
  at::Tensor roots_;
  double total_ = 0;
  bool center_ = false;
};

}  // namespace tc
