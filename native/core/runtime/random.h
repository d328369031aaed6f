#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace tc {

/// PyTorch's CPU random stream for a seed, with a state of its own: draws match
/// `torch.manual_seed(seed)` followed by the same draws on the CPU. Use from one thread at a time.
class Random {
 public:
  explicit Random(uint64_t seed);
  /// `torch.empty(shape, dtype).uniform_(low, high)`
  at::Tensor uniform(at::IntArrayRef shape, double low, double high, at::ScalarType dtype);
  /// `torch.empty(shape, dtype).normal_(mean, std)`
  at::Tensor normal(at::IntArrayRef shape, double mean, double std, at::ScalarType dtype);

 private:
  at::Generator generator_;
};

}  // namespace tc
