#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tc {

/// A sum of tensors of one shape, as of chunks of a batch: in float64 once there are more than a
/// few, as terms that are alike are all rounded the same way in float32.
class Sum {
 public:
  /// The first term's memory becomes the sum's.
  void add(const at::Tensor& term);
  /// In the precision of the terms; undefined where there were none.
  at::Tensor total() const;
  /// The same, with zeros like `like` where there were none.
  at::Tensor totalLike(const at::Tensor& like) const;

 private:
  at::Tensor sum_;
  at::ScalarType precision_ = at::kFloat;
  int64_t terms_ = 0;
};

}  // namespace tc
