// Compiled with OpenMP, on which libtorch's threads are built: ATen/Parallel.h runs everything on
// the calling thread in a file that is not.
#include "core/fused/parallel.h"

#include <ATen/Parallel.h>

namespace tc::fused {

void forkJoin(int64_t workers, const std::function<void(int64_t)>& body) {
  at::parallel_for(0, workers, 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) body(worker);
  });
}

}  // namespace tc::fused
