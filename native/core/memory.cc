#include "core/memory.h"

#include <cstdint>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace tc {

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
