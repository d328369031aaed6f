#include "core/runtime/threads.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <thread>

#ifdef __linux__
#include <sched.h>
#endif

namespace tc {

int defaultThreads() {
  static const int threads = std::min(at::get_num_threads(), availableCores());
  return threads;
}

int availableCores() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

ThreadScope::ThreadScope(int threads) : before_(at::get_num_threads()) {
  const int wanted = threads > 0 ? threads : defaultThreads();
  if (wanted != before_) at::set_num_threads(wanted);
}

ThreadScope::~ThreadScope() {
  if (at::get_num_threads() != before_) at::set_num_threads(before_);
}

}  // namespace tc
