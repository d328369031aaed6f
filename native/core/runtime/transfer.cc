#include "core/runtime/transfer.h"

#include <ATen/ops/empty.h>

#include <algorithm>

namespace tc {
namespace {

/// Below this, CUDA's own copy is as fast.
constexpr size_t kWorthStaging = 64 << 10;
/// What is staged at once.
constexpr int64_t kStageBytes = 4 << 20;
/// libtorch keeps page-locked memory for later, so that not all results may come that way.
constexpr size_t kMostLocked = 64 << 20;

}  // namespace

at::Tensor toDevice(const at::Tensor& tensor, c10::Device device) {
  const bool staged = device.is_cuda() && tensor.is_cpu() && tensor.nbytes() >= kWorthStaging &&
                      tensor.is_contiguous();
  if (!staged) return tensor.to(device);
  const at::Tensor result = at::empty(tensor.sizes(), tensor.options().device(device));
  const at::Tensor from = tensor.view({-1});
  const at::Tensor to = result.view({-1});
  const int64_t step = kStageBytes / static_cast<int64_t>(tensor.element_size());
  for (int64_t begin = 0; begin < from.numel(); begin += step) {
    const int64_t length = std::min(step, from.numel() - begin);
    // libtorch hands this memory out again when the copy from it has ended.
    const at::Tensor locked = at::empty({length}, from.options().pinned_memory(true));
    locked.copy_(from.narrow(0, begin, length));
    to.narrow(0, begin, length).copy_(locked, /*non_blocking=*/true);
  }
  return result;
}

at::Tensor toHost(const at::Tensor& tensor) {
  const bool locked =
      tensor.is_cuda() && tensor.nbytes() >= kWorthStaging && tensor.nbytes() <= kMostLocked;
  if (!locked) return tensor.cpu();
  const auto options = tensor.options().device(c10::kCPU).pinned_memory(true);
  at::Tensor result = at::empty(tensor.sizes(), options);
  result.copy_(tensor);
  return result;
}

}  // namespace tc
