#include <algorithm>
#include <unordered_map>

#include "core/profiler/aggregate.h"

namespace tc::profiling {

int64_t peakMemory(const std::vector<Allocation>& allocations) {
  // On the CPU a block counts from its allocation to its release or, where the release was not seen
  // (it happened outside the profiled work), to the reuse of its address. Releases of blocks from
  // before the start are not counted: libtorch reports only those whose size it happens to know.
  std::unordered_map<const void*, int64_t> blocks;
  int64_t now = 0;
  int64_t peak = 0;
  for (const Allocation& allocation : allocations) {
    if (allocation.address == nullptr) {
      now += allocation.bytes;
    } else {
      const auto block = blocks.try_emplace(allocation.address, 0).first;
      now -= block->second;
      block->second = std::max<int64_t>(allocation.bytes, 0);
      now += block->second;
      if (block->second == 0) blocks.erase(block);
    }
    peak = std::max(peak, now);
  }
  return peak;
}

}  // namespace tc::profiling
