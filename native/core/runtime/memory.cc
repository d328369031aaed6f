#include "core/runtime/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "core/runtime/device.h"

namespace tc {
namespace {

/// libtorch's allocator behind a look at what is available.
class Guard final : public c10::Allocator {
 public:
  explicit Guard(c10::Allocator* inner) : inner_(inner) {}

  c10::DataPtr allocate(size_t bytes) override {
    // Asking the kernel takes microseconds: not worth it for what it will hardly miss.
    constexpr size_t kLarge = 256 << 20;
    if (bytes >= kLarge) {
      const int64_t available = availableMemory(c10::kCPU);
      TORCH_CHECK_WITH(OutOfMemoryError, bytes <= static_cast<size_t>(available), "a tensor of ",
                       bytes, " bytes was asked for, ", available, " bytes are available");
    }
    return inner_->allocate(bytes);
  }
  bool is_simple_data_ptr(const c10::DataPtr& data) const override {
    return inner_->is_simple_data_ptr(data);
  }
  c10::DeleterFnPtr raw_deleter() const override { return inner_->raw_deleter(); }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    inner_->copy_data(to, from, bytes);
  }

 private:
  c10::Allocator* inner_;
};

}  // namespace

void refuseImpossibleAllocations() {
  static Guard guard(c10::GetCPUAllocator());
  static const bool once = [] {
    c10::SetCPUAllocator(&guard, /*priority=*/1);
    return true;
  }();
  static_cast<void>(once);
}

void keepFreedMemory() {
#ifdef __GLIBC__
  constexpr int kLargestFromHeap = 32 << 20;  // the most that glibc accepts
  constexpr int kKept = 256 << 20;
  if (std::getenv("MALLOC_TRIM_THRESHOLD_") != nullptr ||
      std::getenv("MALLOC_MMAP_THRESHOLD_") != nullptr) {
    return;
  }
  mallopt(M_MMAP_THRESHOLD, kLargestFromHeap);
  mallopt(M_TRIM_THRESHOLD, kKept);
#endif
}

void preferLargePages(void* data, size_t bytes) {
#ifdef MADV_HUGEPAGE
  constexpr size_t kWorthwhile = 4 << 20;
  constexpr uintptr_t kPage = 2 << 20;
  if (bytes < kWorthwhile) return;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + kPage - 1) / kPage * kPage;
  const uintptr_t end = (reinterpret_cast<uintptr_t>(data) + bytes) / kPage * kPage;
  // A kernel without them says no, which changes nothing.
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

at::Tensor preferLargePages(at::Tensor tensor) {
  if (tensor.is_cpu()) preferLargePages(tensor.mutable_data_ptr(), tensor.nbytes());
  return tensor;
}

}  // namespace tc
