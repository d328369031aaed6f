#include "core/runtime/transfer.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>

namespace tc {
namespace {

/// What is smaller goes by CUDA's own copy.
constexpr size_t kWorthStaging = 64 << 10;
/// What is staged at once, and how often before the copies are waited for.
constexpr int64_t kStageBytes = 4 << 20;
constexpr int64_t kStages = 4;
/// What the results of all products may lie in: page-locked memory stays with libtorch for good.
constexpr int64_t kMostLocked = 64 << 20;

std::atomic<int64_t> lockedResults = 0;

/// Undefined where the system has no more memory to lock.
at::Tensor tryLocked(at::IntArrayRef sizes, const at::TensorOptions& options) {
  try {
    return at::empty(sizes, options.device(c10::kCPU).pinned_memory(true));
  } catch (const c10::Error&) {
    return {};
  }
}

}  // namespace

at::Tensor toDevice(const at::Tensor& tensor, c10::Device device) {
  const bool worthwhile = device.is_cuda() && tensor.is_cpu() && tensor.nbytes() >= kWorthStaging &&
                          tensor.is_contiguous();
  if (!worthwhile) return tensor.to(device);
  const at::Tensor result = at::empty(tensor.sizes(), tensor.options().device(device));
  const at::Tensor from = tensor.view({-1});
  const at::Tensor to = result.view({-1});
  const int64_t step = kStageBytes / static_cast<int64_t>(tensor.element_size());
  int64_t stage = 0;
  for (int64_t begin = 0; begin < from.numel(); begin += step) {
    const int64_t length = std::min(step, from.numel() - begin);
    const at::Tensor source = from.narrow(0, begin, length);
    // libtorch hands this memory out again when the copy from it has ended.
    const at::Tensor locked = tryLocked({length}, from.options());
    const at::Tensor& staged = locked.defined() ? locked.copy_(source) : source;
    const bool waits = !locked.defined() || ++stage % kStages == 0;
    to.narrow(0, begin, length).copy_(staged, /*non_blocking=*/!waits);
  }
  return result;
}

at::Tensor toHost(const at::Tensor& tensor) {
  const auto bytes = static_cast<int64_t>(tensor.nbytes());
  if (!tensor.is_cuda() || tensor.nbytes() < kWorthStaging) return tensor.cpu();
  const bool fits = (lockedResults += bytes) <= kMostLocked;
  const at::Tensor locked = fits ? tryLocked(tensor.sizes(), tensor.options()) : at::Tensor();
  if (!locked.defined()) {
    lockedResults -= bytes;
    return tensor.cpu();
  }
  // Counted for as long as it lives, also where the copy fails.
  at::Tensor result = at::from_blob(
      locked.data_ptr(), locked.sizes(),
      [held = locked, bytes](void*) mutable {
        held.reset();
        lockedResults -= bytes;
      },
      locked.options().pinned_memory(false));
  locked.copy_(tensor);
  return result;
}

}  // namespace tc
