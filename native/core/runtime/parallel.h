#pragma once

#include <cstdint>
#include <functional>

namespace tc {

/// Calls body(0) … body(workers − 1) on libtorch's intra-op threads and waits; on the calling
/// thread alone inside such a region. `workers` is at most at::get_num_threads(), which is 1
/// within.
void forkJoin(int64_t workers, const std::function<void(int64_t)>& body);

/// The items of `count` that worker `index` of `workers` does: neighbors, the same ones each time.
struct WorkRange {
  int64_t begin;
  int64_t end;
  WorkRange(int64_t count, int64_t index, int64_t workers)
      : begin(count * index / workers), end(count * (index + 1) / workers) {}
};

}  // namespace tc
