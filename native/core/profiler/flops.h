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

}  // namespace tc::profiling
