#include "core/linearization/autograd/flat_gradient.h"

#include <ATen/ops/empty.h>

#include <utility>

namespace tc {
namespace {

thread_local FlatGradient* current = nullptr;

}  // namespace

FlatGradient::FlatGradient(const std::vector<at::Tensor>& leaves, int64_t length,
                           const at::TensorOptions& options)
    : vector_(at::empty({length}, options.requires_grad(false))) {
  int64_t offset = 0;
  for (const at::Tensor& leaf : leaves) {
    const int64_t size = leaf.numel();
    // Empty leaves begin where the next one does.
    if (size > 0) places_[leaf.const_data_ptr()] = {offset, size, false};
    lengths_.push_back(size);
    offset += size;
  }
  outer_ = std::exchange(current, this);
}

FlatGradient::~FlatGradient() { current = outer_; }

at::Tensor FlatGradient::memoryFor(const at::Tensor& leaf) {
  if (current != nullptr && leaf.is_contiguous()) {
    const auto place = current->places_.find(leaf.const_data_ptr());
    if (place != current->places_.end() && !place->second.taken &&
        place->second.length == leaf.numel()) {
      place->second.taken = true;
      return current->vector_.narrow(0, place->second.offset, leaf.numel()).view(leaf.sizes());
    }
  }
  return at::empty(leaf.sizes(), leaf.options().requires_grad(false));
}

at::Tensor FlatGradient::filled(const std::vector<at::Tensor>& parts) {
  int64_t offset = 0;
  const auto* const begin = static_cast<const char*>(vector_.const_data_ptr());
  for (size_t i = 0; i < parts.size(); ++i) {
    const int64_t length = lengths_[i];
    const at::Tensor& part = parts[i];
    // Of some operators libtorch's derivative is a zero without memory.
    const bool given = part.defined() && !part._is_zerotensor();
    const bool there =
        given && part.is_contiguous() &&
        part.const_data_ptr() == begin + offset * static_cast<int64_t>(vector_.element_size());
    if (!there && length > 0) {
      const at::Tensor place = vector_.narrow(0, offset, length);
      if (given) {
        place.view(part.sizes()).copy_(part);
      } else {
        place.zero_();
      }
    }
    offset += length;
  }
  return vector_;
}

}  // namespace tc
