#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tc {

/// One level of functorch's interpreter stack, popped when the scope ends.
class TransformLevel {
 public:
  enum class Kind { kVmap, kGrad };

  /// `batch` is the number of rows of kVmap.
  explicit TransformLevel(Kind kind, int64_t batch = 0);
  ~TransformLevel();
  TransformLevel(const TransformLevel&) = delete;
  TransformLevel& operator=(const TransformLevel&) = delete;

  int64_t level() const { return level_; }

 private:
  int64_t level_;
};

}  // namespace tc
