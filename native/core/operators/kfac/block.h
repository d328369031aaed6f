#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace tc {

/// Where the parameters of a block lie in θ, read as a matrix [rows, cols] for each of some groups:
/// a weight, and its bias as one more column or row.
struct Block {
  int64_t groups = 1;
  int64_t rows = 1;
  int64_t cols = 1;
  int64_t weight = 0;           ///< the first element in θ
  std::optional<int64_t> bias;  ///< likewise
  bool biasIsRow = false;
  /// An approximation by layers, whose factors may be damped; exact otherwise.
  bool layer = false;

  /// The block of vectors [k, P], as [k, groups, rows, cols].
  at::Tensor gather(const at::Tensor& vectors) const;
  /// The block of k gradients by the weight and by the bias, [k, …] each, likewise.
  at::Tensor joined(const at::Tensor& ofWeight, const at::Tensor& ofBias) const;
  /// Writes the block into vectors [k, P].
  void scatter(const at::Tensor& block, const at::Tensor& vectors) const;

 private:
  struct Views {
    at::Tensor weight;
    at::Tensor bias;
  };
  int64_t height() const { return rows - (bias && biasIsRow ? 1 : 0); }
  int64_t width() const { return cols - (bias && !biasIsRow ? 1 : 0); }
  int64_t biasLength() const { return biasIsRow ? cols : rows; }
  Views views(const at::Tensor& ofWeight, const at::Tensor& ofBias) const;
  Views viewsOf(const at::Tensor& vectors) const;
};

}  // namespace tc
