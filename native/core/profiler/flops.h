#pragma once

#include <cstdint>

namespace at {
struct RecordFunction;
}
namespace torch::autograd::profiler {
struct KinetoEvent;
}

namespace tc::profiling {

/// Floating-point operations of a recorded operator, from its inputs' shapes; 0 where none are
/// counted. What libtorch counts itself (mm, addmm, bmm, baddbmm, conv2d, add, mul), and by the
/// same rule, a multiply-add being two, matrix times vector, dot products, and convolutions of any
/// dimension with their backward passes.
uint64_t flopsOf(const torch::autograd::profiler::KinetoEvent& recorded);

/// The same of a call that begins, with its inputs.
uint64_t flopsOf(const at::RecordFunction& call);

/// Whether what a call counts is what the calls within it count, too, which then count nothing:
/// conv2d, not the convolution in it. Not of a batched transform, where the outer call sees a
/// single sample.
inline bool countsForAll(uint64_t flops, uint64_t within) {
  return flops > 0 && within <= flops + flops / 2;
}

}  // namespace tc::profiling
