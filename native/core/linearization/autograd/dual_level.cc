#include "core/linearization/autograd/dual_level.h"

#include <torch/csrc/autograd/forward_grad.h>

#include <mutex>

namespace tc {
namespace {

std::mutex mutex;
int users = 0;
uint64_t level = 0;

}  // namespace

DualLevel::DualLevel() {
  const std::lock_guard lock(mutex);
  if (users == 0) level = torch::autograd::ForwardADLevel::get_next_idx();
  ++users;
  index_ = static_cast<int64_t>(level);
}

DualLevel::~DualLevel() {
  const std::lock_guard lock(mutex);
  if (--users == 0) torch::autograd::ForwardADLevel::release_idx(level);
}

}  // namespace tc
