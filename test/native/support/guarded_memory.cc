#include "guarded_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <cstring>
#include <mutex>
#include <unordered_map>

#ifndef _WIN32
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace tc::test {

#ifdef _WIN32
void guardMemory(Guarded /*how*/) {}
#else

namespace {

/// The mappings of blocks that tensors hold. Never destroyed: tensors may outlive statics.
class Mappings {
 public:
  static Mappings& instance() {
    static auto* mappings = new Mappings;
    return *mappings;
  }

  void* take(size_t bytes, Guarded how) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t inner = (bytes + page - 1) / page * page;
    const size_t all = inner + 2 * page;
    void* mapping = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    TORCH_CHECK_WITH(OutOfMemoryError, mapping != MAP_FAILED, "no ", bytes, " bytes are left");
    char* first = static_cast<char*>(mapping) + page;
    if (mprotect(first, inner, PROT_READ | PROT_WRITE) != 0) {
      munmap(mapping, all);
      TORCH_CHECK_WITH(OutOfMemoryError, false, "no ", bytes, " bytes are left");
    }
    void* block = how == Guarded::kEnds ? first + (inner - bytes) : first;
    const std::lock_guard lock(mutex_);
    sizes_[block] = {mapping, all};
    return block;
  }

  void giveBack(void* block) {
    Mapping found;
    {
      const std::lock_guard lock(mutex_);
      const auto at = sizes_.find(block);
      found = at->second;
      sizes_.erase(at);
    }
    munmap(found.start, found.bytes);
  }

 private:
  struct Mapping {
    void* start = nullptr;
    size_t bytes = 0;
  };
  std::mutex mutex_;
  std::unordered_map<void*, Mapping> sizes_;
};

void giveBack(void* block) {
  if (block != nullptr) Mappings::instance().giveBack(block);
}

class GuardedAllocator final : public c10::Allocator {
 public:
  explicit GuardedAllocator(Guarded how) : how_(how) {}
  c10::DataPtr allocate(size_t bytes) override {
    void* block = bytes == 0 ? nullptr : Mappings::instance().take(bytes, how_);
    return {block, block, giveBack, c10::Device(c10::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return giveBack; }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }

 private:
  Guarded how_;
};

}  // namespace

void guardMemory(Guarded how) {
  static c10::Allocator* plain = c10::GetCPUAllocator();
  static GuardedAllocator ends(Guarded::kEnds);
  static GuardedAllocator begins(Guarded::kBegins);
  c10::Allocator* chosen = how == Guarded::kNot    ? plain
                           : how == Guarded::kEnds ? static_cast<c10::Allocator*>(&ends)
                                                   : &begins;
  constexpr uint8_t kHighest = 255;
  c10::SetCPUAllocator(chosen, kHighest);
}

#endif

}  // namespace tc::test
