#include "core/linearization/autograd/kept_storage.h"

#include <algorithm>
#include <utility>

#ifdef TC_CUDA
#include <c10/cuda/CUDACachingAllocator.h>
#endif

namespace tc {
namespace {

thread_local KeptStorage* current = nullptr;

}  // namespace

KeptStorage::KeptStorage(c10::Device device, at::TensorList existing) : device_(device) {
  // On CUDA the allocator counts; the backward passes there run on libtorch's threads anyway.
  before_ = deviceBytes();
  if (!device_.is_cpu()) return;
  for (const at::Tensor& tensor : existing)
    existing_.insert(tensor.storage().unsafeGetStorageImpl());
  outer_ = std::exchange(current, this);
  if (outer_ != nullptr) return;  // whose callback serves both
  callback_ = at::addThreadLocalCallback(
      at::RecordFunctionCallback(
          nullptr, [](const at::RecordFunction& f, at::ObserverContext*) { record(f); })
          .needsOutputs(true)
          .scopes({at::RecordScope::FUNCTION}));
}

KeptStorage::~KeptStorage() {
  if (!device_.is_cpu()) return;
  if (outer_ == nullptr) at::removeCallback(callback_);
  current = outer_;
}

void KeptStorage::record(const at::RecordFunction& function) {
  const auto addToAll = [](const at::Tensor& tensor) {
    for (KeptStorage* scope = current; scope != nullptr; scope = scope->outer_) scope->add(tensor);
  };
  for (const c10::IValue& output : function.outputs()) {
    if (output.isTensor()) addToAll(output.toTensor());
    if (output.isTensorList()) {
      for (const at::Tensor& tensor : output.toTensorVector()) addToAll(tensor);
    }
  }
}

void KeptStorage::add(const at::Tensor& tensor) {
  if (!tensor.defined() || !tensor.has_storage()) return;
  c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
  if (existing_.contains(storage)) return;
  seen_.try_emplace(storage,
                    WeakStorage(c10::intrusive_ptr<c10::StorageImpl>::reclaim_copy(storage)));
}

int64_t KeptStorage::bytes() const {
  if (!device_.is_cpu()) return std::max<int64_t>(0, deviceBytes() - before_);
  int64_t total = 0;
  for (const auto& [address, weak] : seen_) {
    if (const auto storage = weak.lock()) total += static_cast<int64_t>(storage->nbytes());
  }
  return total;
}

int64_t KeptStorage::deviceBytes() const {
#ifdef TC_CUDA
  if (device_.is_cuda()) {
    const auto index = device_.has_index() ? device_.index() : c10::DeviceIndex{0};
    return c10::cuda::CUDACachingAllocator::getDeviceStats(index).allocated_bytes[0].current;
  }
#endif
  return 0;
}

}  // namespace tc
