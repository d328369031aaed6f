#include "core/runtime/memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <memory>
#include <mutex>
#include <unordered_map>

#ifdef __GLIBC__
#include <malloc.h>
#endif
#ifdef __linux__
#include <sys/mman.h>
#endif

#include "core/runtime/device.h"

namespace tc {
namespace {

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

/// The blocks that tensors hold, with their sizes. Never destroyed: tensors may outlive statics.
class Ledger {
 public:
  static Ledger& instance() {
    static auto* ledger = new Ledger;
    return *ledger;
  }

  /// Takes note of bytes that are about to be allocated; false where the limit forbids them.
  bool reserve(size_t bytes) {
    const auto more = static_cast<int64_t>(bytes);
    int64_t held = held_.load(std::memory_order_relaxed);
    do {
      if (more > limit_.load(std::memory_order_relaxed) - held) return false;
    } while (!held_.compare_exchange_weak(held, held + more, std::memory_order_relaxed));
    return true;
  }
  void unreserve(size_t bytes) {
    held_.fetch_sub(static_cast<int64_t>(bytes), std::memory_order_relaxed);
  }
  void enter(void* block, size_t bytes) {
    const std::lock_guard lock(mutex_);
    sizes_.emplace(block, bytes);
  }
  /// Forgets a block, if it was entered.
  void leave(void* block) {
    size_t bytes = 0;
    {
      const std::lock_guard lock(mutex_);
      const auto found = sizes_.find(block);
      if (found == sizes_.end()) return;
      bytes = found->second;
      sizes_.erase(found);
    }
    unreserve(bytes);
  }
  int64_t held() const { return held_.load(std::memory_order_relaxed); }
  int64_t limit() const { return limit_.load(std::memory_order_relaxed); }
  void setLimit(int64_t bytes) { limit_.store(bytes, std::memory_order_relaxed); }

 private:
  std::mutex mutex_;
  std::unordered_map<void*, size_t> sizes_;
  std::atomic<int64_t> held_ = 0;
  std::atomic<int64_t> limit_ = kUnlimited;
};

c10::DeleterFnPtr innerDeleter = nullptr;

void forgetAndDelete(void* block) {
  // First: once it is freed, another thread may get the same address.
  if (block != nullptr) Ledger::instance().leave(block);
  innerDeleter(block);
}

/// libtorch's allocator behind a look at what is available.
class Guard final : public c10::Allocator {
 public:
  explicit Guard(c10::Allocator* inner) : inner_(inner) { innerDeleter = inner->raw_deleter(); }

  c10::DataPtr allocate(size_t bytes) override {
    if (bytes < kSmallBlock || innerDeleter == nullptr) return taken(bytes);
    // Asking the kernel takes microseconds: not worth it for what it will hardly miss.
    constexpr size_t kLarge = 256 << 20;
    if (bytes >= kLarge) {
      const int64_t available = availableMemory(c10::kCPU);
      TORCH_CHECK_WITH(OutOfMemoryError, bytes <= static_cast<size_t>(available), "a tensor of ",
                       bytes, " bytes was asked for, ", available, " bytes are available");
    }
    Ledger& ledger = Ledger::instance();
    TORCH_CHECK_WITH(OutOfMemoryError, ledger.reserve(bytes), "a tensor of ", bytes,
                     " bytes was asked for, ", ledger.held(), " bytes are held, and the limit is ",
                     ledger.limit(), " bytes (the option memoryLimit of configure)");
    try {
      c10::DataPtr data = taken(bytes);
      ledger.enter(data.get(), bytes);
      if (!data.compare_exchange_deleter(innerDeleter, forgetAndDelete)) ledger.leave(data.get());
      return data;
    } catch (...) {
      ledger.unreserve(bytes);
      throw;
    }
  }
  bool is_simple_data_ptr(const c10::DataPtr& data) const override {
    return inner_->is_simple_data_ptr(data);
  }
  c10::DeleterFnPtr raw_deleter() const override {
    return innerDeleter == nullptr ? nullptr : forgetAndDelete;
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    inner_->copy_data(to, from, bytes);
  }

 private:
  /// From libtorch's allocator, which says in an exception of its own that there is none left.
  c10::DataPtr taken(size_t bytes) {
    try {
      c10::DataPtr data = inner_->allocate(bytes);
      preferLargePages(data.get(), bytes);
      return data;
    } catch (const c10::Error&) {
      C10_THROW_ERROR(OutOfMemoryError, "a tensor of " + std::to_string(bytes) +
                                            " bytes was asked for, which the system refused");
    }
  }

  c10::Allocator* inner_;
};

}  // namespace

void guardAllocations() {
  static auto* guard = new Guard(c10::GetCPUAllocator());
  static const bool once = [] {
    c10::SetCPUAllocator(guard, /*priority=*/1);
    return true;
  }();
  static_cast<void>(once);
}

int64_t bytesHeld() { return Ledger::instance().held(); }
void setMemoryLimit(int64_t bytes) { Ledger::instance().setLimit(bytes); }
int64_t memoryLimit() { return Ledger::instance().limit(); }
int64_t memoryLeft() {
  const Ledger& ledger = Ledger::instance();
  return ledger.limit() == kUnlimited ? kUnlimited
                                      : std::max<int64_t>(0, ledger.limit() - ledger.held());
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
  constexpr size_t kPage = 2 << 20;
  if (bytes < kWorthwhile || std::align(kPage, kPage, data, bytes) == nullptr) return;
  // A kernel without them says no, which changes nothing.
  madvise(data, bytes / kPage * kPage, MADV_HUGEPAGE);
#else
  (void)data;
  (void)bytes;
#endif
}

}  // namespace tc
